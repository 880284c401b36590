"""Names, shapes and configs that no model has: every view is written, every count adds up."""

from __future__ import annotations

import json
import random
import struct
import time
from collections import Counter

import pytest

from ckptscan.checkpoint import load, peek
from ckptscan.names import is_visible
from ckptscan.report import VIEWS, Layout, report
from ckptscan.report.flow import flow_rows
from ckptscan.report.formulas import parts, whole
from ckptscan.structure import Structure, describe
from tests.conftest import Tensors, checkpoint_of, source_of, structure_of, unheld

NAMES = (
    "a.weight.weight|weight.weight|..|.weight|a..b|MTP|mtp.weight|MTP.weight|a*|*|a\\*b|a\nb|$x$|__"
    "|module.x|_orig_mod|scale.0|scale.1|1.2.3.4.5.6.7.8.9|0|00|01.w|layers|layers.0|layers.weight"
    "|x\x1b[31m|x\u202eabc|=1+1|a%b&c#d|bias|a.bias.bias|experts.0|experts.weight|b_0.layers.0.w"
    "|predictions|predictions.weight|eh_proj|enorm.weight|h.0.attn.c_attn.weight|shared_head.head"
    "|h.0.mlp.experts.1.up_proj.weight|h.1.mlp.experts.0.up_proj.weight|lm_head.weight"
).split("|")
LEAVES = (
    "weight|bias|qweight|qzeros|scales|g_idx|weight_packed|weight_scale|weight_shape|W_q|scale"
    "|weight.absmax|weight.quant_state.bitsandbytes__nf4|codes|codebooks|SCB|biases"
).split("|")
SHAPES = ([], [0], [1], [8], [64], [64, 64], [128, 2], [0, 64], [4, 64, 64], [3] * 4, [2] * 9)
JUNK = (None, True, -1, 0, 7, 10**400, 1.5, float("nan"), "", "\x1b", [], [1, 2], {"a": 1}, [None])
KEYS = (
    "architectures model_type num_attention_heads head_dim num_experts_per_tok layer_types"
    " text_config quantization_config rms_norm_eps hidden_act lora_alpha n_shared_experts"
).split()


def hostile_tensors(rng: random.Random) -> dict[str, tuple[str, list[int]]]:
    """A few odd names, and modules with companions of any dtype and shape."""
    dtypes = ("F32", "BF16", "I32", "U8", "F8_E4M3", "I64")
    tensors = {}
    for _ in range(rng.randrange(1, 8)):
        tensors[rng.choice(NAMES)] = (rng.choice(dtypes), rng.choice(SHAPES))
        module = rng.choice(("h.0.attn.q_proj", "h.1.attn.q_proj", "a", "cls.predictions"))
        for leaf in rng.sample(LEAVES, rng.randrange(4)):
            tensors[f"{module}.{leaf}"] = (rng.choice(dtypes), rng.choice(SHAPES))
    return tensors


def hostile_config(rng: random.Random) -> bytes:
    """A config.json with values of any kind."""
    said = {key: rng.choice(JUNK) for key in rng.sample(KEYS, rng.randrange(len(KEYS)))}
    return json.dumps(said).encode()


def adds_up(structure: Structure) -> bool:
    """Whether the formula and the parts have the value of the tree."""
    value = structure.tree.parameters
    terms = sum(term.value for part in parts(structure) for term in part.terms)
    return terms == value == sum(part.parameters for part in parts(structure))


@pytest.mark.parametrize("seed", range(150))
def test_anything_gives_every_number_once_and_escaped(seed: int) -> None:
    rng = random.Random(seed)
    tensors = hostile_tensors(rng)
    files = {"model.safetensors": tensors}
    for name in ("config.json", "adapter_config.json"):
        files[name] = hostile_config(rng)  # type: ignore[assignment]
    structure = describe(checkpoint_of(files))
    view = VIEWS[seed % len(VIEWS)]
    lines = [line for form in ("text", "csv", "markdown") for line in
             report(structure, form, Layout(view=view))]  # fmt: skip
    expanded = flow_rows(structure, Layout(expand=True))
    document = "\n".join(report(structure, "json", Layout(view=view)))

    assert adds_up(structure)
    assert all(is_visible(line) for line in lines)
    assert Counter(tensors.keys()) == Counter(row.name for row in expanded)
    assert "NaN" not in document
    assert json.loads(document)


def test_a_bracket_with_a_tensor_of_its_own_is_one_part() -> None:
    structure = structure_of(
        {
            "model": ("F32", [7]),
            "model.language_model.w.weight": ("F32", [4, 4]),
            "model.decoder.w.weight": ("F32", [4, 4]),
        }
    )

    assert ["model"] == [part.name for part in parts(structure)]
    assert 39 == whole(structure)[1]


def test_latex_escapes_what_is_escaped_for_the_terminal_too() -> None:
    structure = structure_of({"\x1b_a.weight": ("F32", [4, 4])})
    (line,) = [line for line in report(structure, "latex", Layout("formula")) if "text" in line]

    assert line.endswith(r"\text{\textbackslash{}x1b\_a} \\")


def test_an_alpha_that_is_no_number_is_left_out() -> None:
    files = {
        "adapter_model.safetensors": {
            "q.lora_A.weight": ("F32", [2, 4]),
            "q.lora_B.weight": ("F32", [4, 2]),
        },
        "adapter_config.json": b'{"lora_alpha": NaN, "r": 4, "rank_pattern": {"q": [2]}}',
    }
    adapter = describe(checkpoint_of(files)).adapter

    assert adapter is not None
    assert adapter.alpha is None
    assert ("adapter_config.json says r = 4, shapes have 2",) == adapter.problems


def test_a_class_of_any_length_is_looked_at_once() -> None:
    config = json.dumps({"architectures": ["A" + "ForA" * 500_000 + "!"]}).encode()
    tensors: Tensors = {f"h.{i}.a.weight": ("F32", [4, i + 1]) for i in range(20)}
    started = time.process_time()
    describe(checkpoint_of({"model.safetensors": tensors, "config.json": config}))

    assert time.process_time() - started < 2


def test_experts_named_for_a_million_layers_are_no_fact() -> None:
    config = json.dumps({"num_experts_per_tok": list(range(200_000))}).encode()
    tensors: Tensors = {f"h.0.experts.{i}.up_proj.weight": ("F32", [4, 4]) for i in range(4)}
    structure = describe(checkpoint_of({"model.safetensors": tensors, "config.json": config}))

    assert structure.parameters.experts is not None
    assert structure.parameters.experts.per_token is None
    assert structure.parameters.active is None


PACKED: Tensors = {
    "q.weight_packed": ("I32", [128, 16]),
    "q.weight_scale": ("BF16", [128, 2]),
    "q.weight_shape": ("I64", [2]),
}


@pytest.mark.parametrize(
    ("stated", "problem"),
    [
        ((128, 128), ""),
        ((-128, 128), "q.weight_shape: its bytes tell no shape"),
        ((0, 0), "q.weight_shape: its bytes tell no shape"),
        ((2**62, 2**62), "q: weight_shape says (4611686018427387904, 4611686018427387904)"),
        ((64, 256), "q: weight_shape says (64, 256)"),
    ],
)
def test_a_stated_shape_that_cant_be_is_named_and_not_used(
    stated: tuple[int, int], problem: str
) -> None:
    held = source_of({"model.safetensors": PACKED}).held("model.safetensors") or b""
    source = source_of({"model.safetensors": held[:-16] + struct.pack("<2q", *stated)})
    checkpoint = load(source)
    structure = describe(checkpoint, None, peek(source, checkpoint))

    assert structure.parameters.logical == (None if problem else 16384)
    assert "".join(structure.problems).startswith(problem)


def test_a_match_counts_the_packed_weights_that_it_keeps() -> None:
    tensors: Tensors = {
        f"h.{i}.q.{leaf}": kind
        for i in range(4)
        for leaf, kind in {
            "qweight": ("I32", [8, 64]),
            "qzeros": ("I32", [1, 8]),
            "scales": ("F16", [1, 64]),
        }.items()
    }
    checkpoint = checkpoint_of({"model.safetensors": tensors})
    kept = describe(checkpoint, lambda name: name.startswith(("h.0.", "h.2.")))
    scales = describe(checkpoint, lambda name: name.endswith("scales"))

    assert kept.quantization is not None
    assert 2 == kept.quantization.main.weights
    assert scales.quantization is None


def test_a_family_that_means_two_things_has_no_count_in_a_match() -> None:
    tensors: Tensors = {
        "x.7.e.2.up_proj.weight": ("U8", [32768, 1]),
        "x.7.e.2.up_proj.weight.absmax": ("U8", [1024]),
        "x.8.e.0.up_proj.weight": ("U8", [32768, 1]),
    }
    checkpoint = checkpoint_of({"model.safetensors": tensors})
    matched = describe(checkpoint, lambda name: name.endswith(".weight"))

    assert 98_304 == describe(checkpoint).parameters.logical
    assert matched.parameters.logical is None


def test_a_layout_of_many_kinds_is_cut_in_the_table() -> None:
    tensors: Tensors = {f"h.{i}.a.weight": ("F32", [4, i + 1]) for i in range(300)}
    lines = [*report(structure_of(tensors), "text", Layout("layers"))]

    assert max(map(len, lines)) < 400


@pytest.mark.parametrize(
    "tensors",
    [
        {"a.weight": ("F32", [3]), "a.weight.(0)": ("F32", [2]), "a.weight.0": ("F32", [2])},
        {"a.0": ("F32", [4]), "a.(0)": ("F32", [5]), "a.1": ("F32", [4])},
        {
            "l.0.q.weight": ("F32", [4, 4]),
            "l.1.q.weight": ("F32", [4, 4]),
            "l.(0-1).q.weight": ("F32", [5, 5]),
        },
    ],
)
def test_a_name_like_the_label_of_a_run_hides_no_tensor(tensors: Tensors) -> None:
    found = unheld(tensors).parameters

    assert found.stored_elements == found.logical
