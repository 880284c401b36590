"""The way of the data: tensors in the order of a forward pass, under the names they are stored."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given

from ckptscan.structure import describe
from ckptscan.structure.flow import expanded, flow, in_order
from ckptscan.structure.tree import Node
from tests.conftest import Tensors, checkpoint_of, structure_of
from tests.structure.drawing import tensors_of

W, V = ("BF16", [4, 4]), ("BF16", [4])


def layer(prefix: str) -> Tensors:
    parts = "mlp.down_proj self_attn.o_proj mlp.gate_proj self_attn.q_proj mlp.up_proj".split()
    norms = ("post_attention_layernorm", "input_layernorm")
    return {f"{prefix}.{part}.weight": W for part in parts} | {
        f"{prefix}.{norm}.weight": V for norm in norms
    }


LLAMA = (
    {"lm_head.weight": ("BF16", [9, 4]), "model.norm.weight": V}
    | {name: spec for n in range(2) for name, spec in layer(f"model.layers.{n}").items()}
    | {"model.embed_tokens.weight": ("BF16", [9, 4])}
)


def test_a_decoder_is_read_from_embedding_to_head() -> None:
    steps = list(flow(structure_of(LLAMA).tree))

    assert [
        "model.embed_tokens.weight",
        "model.layers.0.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.self_attn.o_proj.weight",
        "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.weight",
        "model.layers.0.mlp.down_proj.weight",
        "model.norm.weight",
        "lm_head.weight",
    ] == [step.name for step in steps]
    assert [[], ["0-1"]] == [[str(axis) for axis in step.axes] for step in steps[:2]]
    assert [1, 2] == [step.end.tensors for step in steps[:2]]


def test_expanded_the_layers_follow_each_other_whole() -> None:
    names = [name for name, _ in expanded(structure_of(LLAMA).tree)]

    assert sorted(LLAMA) == sorted(names)
    assert names[1].replace(".0.", ".1.") == names[8]
    assert "model.layers.1.mlp.down_proj.weight" == names[-3]


def test_two_stacks_of_as_many_layers_do_not_mix() -> None:
    tensors = {f"{side}.block.{n}.w": W for side in ("encoder", "decoder") for n in range(2)}
    names = [name for name, _ in expanded(structure_of(tensors).tree)]

    assert [
        "encoder.block.0.w",
        "encoder.block.1.w",
        "decoder.block.0.w",
        "decoder.block.1.w",
    ] == names


SAME_NAMES = {
    "a wrapper before all names": {f"module.l.{n}.w": W for n in range(3)},
    "a wrapper inside": {f"l.{n}._orig_mod.w": W for n in range(3)},
    "padded indices": {f"l.{n:02d}.w": W for n in range(12)},
    "padded and plain indices": {f"l.{n}.w": W for n in ("00", "01", "0", "1")},
    "numbers inside segments": {f"l.{n}.expert_{e}.w": W for n in range(3) for e in range(4)},
    "two numbers in a segment": {f"x_{a}_y_{b}.w": W for a in range(4) for b in range(4)},
    "two numbers, not all": {
        f"l.{n}.x_{a}_y_{b}.e.{e}.w": W
        for n, a, b, e in itertools.product(range(2), range(4), range(4), range(2))
        if (n, a, b) != (1, 3, 3)
    },
    "two numbers above layers, not all": {
        f"x_{a}_y_{b}.l.{n}.w": W
        for a, b, n in itertools.product(range(4), range(4), range(2))
        if (a, b, n) != (3, 3, 1)
    },
    "irregular experts": {f"l.{n}.e.{e}.w": W for n in range(4) for e in range(2 + n % 2)},
    "drafting layers": {f"model.layers.{n}.w": W for n in range(3)}
    | {f"model.layers.3.{part}.weight": W for part in ("eh_proj", "enorm", "hnorm")},
    "a drafting module": {f"mtp.layers.{n}.w": W for n in range(3)} | {"a": W},
    "drafts in every layer": {f"l.{n}.mtp.{e}.w": W for n in range(3) for e in range(4)},
    "a number that no run has": {f"stage_0.l.{n}.w": W for n in range(3)},
    "parentheses in a name": {f"a.(0-2).{n}": W for n in range(3)},
    "stars in a name": {f"a.*.{n}.\\.w": W for n in range(3)},
    "empty segments": {"a..b": W, ".a": W, "..": W},
    "lists of parameters": {f"l.{n}.scale.{i}": V for n in range(3) for i in range(2)},
    "a tensor that is a module too": {"a": W, "a.b": W, "a.b.0": W, "a.b.1": W},
}


@pytest.mark.parametrize("tensors", SAME_NAMES.values(), ids=SAME_NAMES)
def test_every_name_is_one_of_the_table(tensors: Tensors) -> None:
    tree = structure_of(tensors).tree

    assert sorted(tensors) == sorted(name for name, _ in expanded(tree))
    assert {step.name for step in flow(tree)} <= tensors.keys()


@given(tensors_of("F32", "BF16", "U8"))
def test_each_tensor_is_listed_once(tensors: Tensors) -> None:
    tree = structure_of(tensors).tree
    steps = list(flow(tree))

    assert sorted(tensors) == sorted(name for name, _ in expanded(tree))
    assert {step.name for step in steps} <= tensors.keys()
    assert len(tensors) == sum(step.end.tensors for step in steps)
    assert [step.name for step in steps] == [next(step.names()) for step in steps]


def test_a_pipeline_s_names_begin_with_the_component() -> None:
    files = {
        "model_index.json": b'{"unet":["diffusers","U"],"v*e":["diffusers","V"]}',
        "unet/diffusion_pytorch_model.safetensors": {f"l.{n}.w": W for n in range(2)},
        "v*e/diffusion_pytorch_model.safetensors": {"l.0.w": W, "l.1.w": W},
    }
    tree = describe(checkpoint_of(files)).tree

    assert ["unet/l.0.w", "unet/l.1.w", "v*e/l.0.w", "v*e/l.1.w"] == sorted(
        name for name, _ in expanded(tree)
    )


def ordered(tensors: Tensors, at: str = "") -> str:
    """The labels of the modules at one path in their order."""
    node = structure_of(tensors).tree
    for label in at.split():
        node = next(child for child in node.children if label in (child.label, child.path))
    is_layer = node.repeat is not None
    return " ".join(child.label for child in in_order(node.children, is_layer))


def test_a_tower_comes_before_its_projector_and_a_projector_without_one_after_layers() -> None:
    text = {"language_model.layers.0.w": W}
    seen = {"multi_modal_projector.linear.weight": W, "vision_tower.layers.0.w": W}
    alone = {"multi_modal_projector.linear.weight": W}

    assert "vision_tower multi_modal_projector language_model" == ordered(text | seen)
    assert "language_model multi_modal_projector" == ordered(text | alone)


IN_A_LAYER = {
    "latent attention": (
        "kv_b_proj o_proj q_a_layernorm q_b_proj kv_a_layernorm q_a_proj kv_a_proj_with_mqa",
        "q_a_proj q_a_layernorm q_b_proj kv_a_proj_with_mqa kv_a_layernorm kv_b_proj o_proj",
    ),
    "latent attention as its authors name it": (
        "kv_norm q_norm wkv_a wkv_b wo wq_a wq_b",
        "wq_a q_norm wq_b wkv_a kv_norm wkv_b wo",
    ),
    "a state-space model": (
        "out_proj conv1d in_proj",
        "in_proj conv1d out_proj",
    ),
    "norms of queries": (
        "o_proj k_norm q_norm v_proj k_proj q_proj",
        "q_proj k_proj v_proj k_norm q_norm o_proj",
    ),
}


@pytest.mark.parametrize(("stored", "expected"), IN_A_LAYER.values(), ids=IN_A_LAYER)
def test_the_projections_of_an_attention(stored: str, expected: str) -> None:
    tensors = {f"l.{n}.self_attn.{name}.weight": V if "norm" in name else W
               for n in range(2) for name in stored.split()}  # fmt: skip
    (container,) = structure_of(tensors).tree.children
    (attention,) = container.children[0].children

    assert expected == " ".join(
        child.label for child in in_order(attention.children, is_layer=True)
    )


SIBLINGS = {
    "a weight before its bias": (
        {"norm.bias": V, "norm.weight": V, "norm.also": V}, "norm", "weight bias also",
    ),
    "drafts come last": ({"mtp.a.w": W, "lm_head.weight": ("BF16", [90, 4])}, "", "lm_head mtp"),
    "a last norm follows the layers": ({"zz.0.w": W, "ln_f.weight": V}, "", "zz ln_f"),
    "a norm without layers": ({"zz.weight": W, "norm.weight": V}, "", "norm zz"),
    "tables come first": ({"a.w": W, "wpe.weight": W, "wte.weight": W}, "", "wte wpe a"),
    "an unknown head": ({"a.w": W, "proj_out.weight": ("BF16", [90, 4])}, "", "a proj_out"),
    "an unknown attention": (
        {f"l.{n}.{name}.weight": W for n in range(2) for name in ("z.q_proj", "z.o_proj", "mlp.fc1")},
        "l l.*", "z mlp",
    ),
    "an unknown feed-forward": (
        {f"l.{n}.{name}.weight": W
         for n in range(2) for name in ("a.x.up_proj", "a.x.down_proj", "norm3", "attn.q_proj")},
        "l l.*", "attn a norm3",
    ),
    "an unknown block": ({"z.0.w": W, "b.c.d.e": W, "b.c.d.f": W}, "", "b z"),
    "positions in a layer": (
        {f"l.{n}.{name}": W for n in range(2) for name in ("mlp.fc1.weight", "x.pos_embed.y")},
        "l l.*", "x mlp",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "at", "expected"), SIBLINGS.values(), ids=SIBLINGS)
def test_siblings_stand_in_the_order_of_the_data(tensors: Tensors, at: str, expected: str) -> None:
    assert expected == ordered(tensors, at)


def test_the_order_of_nothing_is_nothing() -> None:
    assert [] == in_order([])
    assert [] == list(flow(Node.of("")))
