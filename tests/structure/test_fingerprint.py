"""Geometry: a hash that names, files and dtypes do not change, and the nearest known model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure import describe
from ckptscan.structure.fingerprint import Geometry
from tests.conftest import Tensors, checkpoint_of, structure_of, unheld


def llama(
    layers: int = 24, hidden: int = 896, kv: int = 128, width: int = 4864, rows: int = 151936
) -> Tensors:
    """Qwen2-0.5B, or what is near to it."""
    shapes = {
        "self_attn.q_proj": [hidden, hidden], "self_attn.k_proj": [kv, hidden],
        "self_attn.v_proj": [kv, hidden], "self_attn.o_proj": [hidden, hidden],
        "mlp.gate_proj": [width, hidden], "mlp.up_proj": [width, hidden],
        "mlp.down_proj": [hidden, width], "input_layernorm": [hidden],
    }  # fmt: skip
    tensors: Tensors = {
        f"model.layers.{n}.{name}.weight": ("BF16", shape)
        for n in range(layers)
        for name, shape in shapes.items()
    }
    return {**tensors, "model.embed_tokens.weight": ("BF16", [rows, hidden])}


HEADS = {"num_attention_heads": 14}
NEAREST = {
    "the model itself": (llama(), "Qwen2-0.5B"),
    "more rows": (llama(rows=152064), "Qwen2-0.5B, vocabulary + 128 rows"),
    "fewer rows": (llama(rows=151935), "Qwen2-0.5B, vocabulary - 1 rows"),
    "more layers": (llama(layers=26), "Qwen2-0.5B, 2 layers more"),
    "fewer layers": (llama(layers=20), "Qwen2-0.5B, 4 layers fewer"),
    "fewer layers and rows": (llama(layers=20, rows=151935), ""),
    "another width": (llama(width=4096), ""),
    "no table": (
        {name: spec for name, spec in llama().items() if "embed" not in name}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tensors", "nearest"), NEAREST.values(), ids=NEAREST)
def test_the_nearest_known_model(tensors: Tensors, nearest: str) -> None:
    found = unheld(tensors, config=HEADS).fingerprint

    assert nearest == found.nearest
    assert ("arXiv 2407.10671, table 1" if nearest else "") == found.source


def test_of_two_known_models_the_nearer_vocabulary_decides() -> None:
    seven = unheld(llama(32, 4096, 4096, 11008, 32001), config={"num_attention_heads": 32})

    assert "Llama-7B, vocabulary + 1 rows" == seven.fingerprint.nearest


def test_the_geometry_of_a_model() -> None:
    assert (
        Geometry(896, 24, 14, 2, 64, 4864, 0, 0, 151936)
        == unheld(llama(), config=HEADS).fingerprint.geometry
    )


def test_the_geometry_of_a_mixture_of_experts() -> None:
    stacks: Tensors = {
        f"model.layers.{n}.mlp.experts.{name}": ("BF16", shape)
        for n in range(1, 3)
        for name, shape in (("gate_up_proj", [4, 896, 100]), ("down_proj", [4, 50, 896]))
    }
    tensors = {
        name: spec for name, spec in llama(3).items() if ".mlp." not in name or ".0.mlp." in name
    }
    geometry = unheld(tensors | stacks, config=HEADS).fingerprint.geometry

    assert geometry is not None
    assert (4864, 4, 50) == (geometry.width, geometry.experts, geometry.expert_width)


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"a.weight": ("F32", [2, 2])},
        llama(2),
        {
            name.replace("model.", f"model.{side}."): spec
            for side in ("encoder", "decoder")
            for name, spec in llama(2).items()
        },
    ],
    ids=["nothing", "no layers", "heads unknown", "encoder and decoder"],
)
def test_what_has_no_one_geometry(tensors: Tensors) -> None:
    is_pair = any(".encoder." in name for name in tensors)
    found = unheld(tensors, config=HEADS if is_pair else {}).fingerprint

    assert (None, "", "") == tuple(found)


SMALL = llama(2, 16, 8, 24, 90)


@given(st.sampled_from(["F32", "F16", "BF16"]), st.integers(1, 4), st.sampled_from(["x", "net.y"]))
def test_names_files_and_dtypes_do_not_change_the_hash(
    dtype: str, shards: int, container: str
) -> None:
    names = {name: name.replace("model", container) for name in SMALL}
    files: dict[str, Tensors] = {
        f"model-0000{number + 1}-of-0000{shards}.safetensors": {
            names[name]: (dtype, spec[1]) for name, spec in list(SMALL.items())[number::shards]
        }
        for number in range(shards)
    }

    expected = structure_of(SMALL).geometry_hash
    assert expected == describe(checkpoint_of({**files})).geometry_hash
    assert 16 == len(expected)


def test_another_shape_or_number_is_another_hash() -> None:
    hashes = {
        structure_of(tensors).geometry_hash
        for tensors in (SMALL, llama(3, 16, 8, 24, 90), llama(2, 16, 8, 24, 91), {})
    }

    assert 4 == len(hashes)


def test_buffers_and_the_way_a_matrix_is_stored_do_not_change_the_hash() -> None:
    turned = {name: (dtype, list(reversed(shape))) for name, (dtype, shape) in SMALL.items()}
    buffers: Tensors = {"model.position_ids": ("I64", [1, 7])}

    assert structure_of(SMALL).geometry_hash == structure_of(SMALL | buffers).geometry_hash
    assert structure_of(SMALL).geometry_hash == structure_of(turned).geometry_hash


def test_packing_does_not_change_the_hash() -> None:
    plain = {"a.q_proj.weight": ("BF16", [64, 128]), "a.norm.weight": ("BF16", [128])}
    packed: Tensors = {
        "a.q_proj.qweight": ("I32", [16, 64]),
        "a.q_proj.scales": ("F16", [2, 64]),
        "a.q_proj.qzeros": ("I32", [2, 8]),
        "a.norm.weight": ("F16", [128]),
    }

    assert structure_of(plain).geometry_hash == structure_of(packed).geometry_hash
