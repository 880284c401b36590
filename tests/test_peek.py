"""Peeking: a few bytes of the tensors that tell a packed shape, and nothing of any other."""

from __future__ import annotations

import json
import struct

import pytest

from ckptscan.checkpoint import load, peek
from ckptscan.checkpoint.peek import MAX_BYTES
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import describe
from tests.conftest import Tensors, framed, header_text, source_of

SHAPE = "model.layers.0.q_proj.weight_shape"
STATE = "a.weight.quant_state.bitsandbytes__nf4"
PACKED = "model.layers.0.q_proj.weight_packed"


def peeked(tensors: Tensors, data: bytes) -> dict[str, dict[str, object]]:
    source = MemorySource({"model.safetensors": framed(header_text(tensors), data)})
    return peek(source, load(source))


VALUES = {
    "two integers": (SHAPE, ("I64", [2]), struct.pack("<2q", 4096, 64), (4096, 64)),
    "narrow integers": (SHAPE, ("I32", [2]), struct.pack("<2i", 4096, -1), (4096, -1)),
    "JSON": (STATE, ("U8", [9]), b'{"a":[1]}', {"a": [1]}),
    "no JSON": (STATE, ("U8", [4]), b'{"a"', ()),
    "no UTF-8": (STATE, ("U8", [2]), b"\xff\xfe", ()),
    "no object": (STATE, ("U8", [4]), b"null", ()),
    "JSON nested too deep": (STATE, ("U8", [4000]), b"[" * 4000, ()),
    "an absurd number": (STATE, ("U8", [4096]), b"9" * 4096, ()),
    "nothing": (SHAPE, ("I64", [0]), b"", None),
    "too much": (STATE, ("U8", [MAX_BYTES + 1]), b"{}" + b" " * (MAX_BYTES - 1), None),
    "another name": ("a.weight_shapes", ("I64", [2]), bytes(16), None),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spec", "data", "expected"), VALUES.values(), ids=VALUES)
def test_what_a_tensor_says(
    name: str, spec: tuple[str, list[int]], data: bytes, expected: object
) -> None:
    assert ({} if expected is None else {"": {name: expected}}) == peeked({name: spec}, data)


def test_a_file_that_is_cut_short_tells_no_shape() -> None:
    assert {"": {SHAPE: ()}} == peeked({SHAPE: ("I64", [2])}, bytes(3))


def test_two_tensors_of_the_same_bytes_are_both_told() -> None:
    text = (
        '{"a.weight_shape":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},'
        '"b.weight_shape":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}'
    )
    source = MemorySource({"model.safetensors": framed(text, struct.pack("<2q", 3, 4))})

    assert {"": {"a.weight_shape": (3, 4), "b.weight_shape": (3, 4)}} == peek(source, load(source))


def test_no_other_tensor_is_read() -> None:
    source = source_of({"model.safetensors": {"a": ("F32", [9]), SHAPE: ("I64", [2])}})
    checkpoint = load(source)
    before = len(source.ranges)
    peek(source, checkpoint)

    start = 8 + checkpoint.table.shards[0].header_size + 36
    assert [("model.safetensors", start, 16)] == source.ranges[before:]


def test_components_are_told_apart() -> None:
    source = source_of(
        {
            "model_index.json": b'{"a":["x","A"],"b":["x","B"]}',
            "a/model.safetensors": {SHAPE: ("I64", [2])},
            "b/model.safetensors": {SHAPE: ("I64", [1])},
        }
    )

    assert {"a": {SHAPE: (0, 0)}, "b": {SHAPE: (0,)}} == peek(source, load(source))


@pytest.mark.parametrize("prefix", ["", "module.", "base_model.model."])
def test_a_peeked_shape_is_that_of_the_weight(prefix: str) -> None:
    tensors: Tensors = {
        f"{prefix}{PACKED}": ("I32", [64, 8]),
        f"{prefix}model.layers.0.q_proj.weight_scale": ("BF16", [64, 1]),
        f"{prefix}{SHAPE}": ("I64", [2]),
    }
    held = 64 * 8 * 4 + 64 * 2
    source = MemorySource(
        {
            "model.safetensors": framed(
                header_text(tensors), bytes(held) + struct.pack("<2q", 64, 60)
            ),
            "config.json": json.dumps({"quantization_config": {"bits": 4}}).encode(),
        }
    )
    checkpoint = load(source)
    structure = describe(checkpoint, peeked=peek(source, checkpoint))

    assert 64 * 60 == structure.parameters.logical
    assert "peeked" == structure.parameters.labels["logical"]


def test_layers_of_one_packed_shape_that_say_different_shapes_are_a_problem() -> None:
    tensors: Tensors = {
        name.replace(".0.", f".{n}."): spec
        for n in range(2)
        for name, spec in {
            PACKED: ("I32", [64, 8]),
            SHAPE.replace("shape", "scale"): ("BF16", [64, 1]),
            SHAPE: ("I64", [2]),
        }.items()
    }
    checkpoint = load(MemorySource({"model.safetensors": framed(header_text(tensors))}))
    values: dict[str, object] = {SHAPE: (64, 60), SHAPE.replace(".0.", ".1."): (64, 61)}
    structure = describe(checkpoint, peeked={"": values})

    assert (
        "model.layers.*.q_proj.weight_shape: layers of equal packed shape say different shapes",
    ) == structure.problems


def test_bytes_that_tell_no_shape_are_a_problem() -> None:
    tensors: Tensors = {PACKED: ("I32", [64, 8]), SHAPE: ("I64", [2])}
    checkpoint = load(MemorySource({"model.safetensors": framed(header_text(tensors))}))
    structure = describe(checkpoint, peeked={"": {SHAPE: ()}})

    assert f"{SHAPE.replace('0', '*')}: its bytes tell no shape" in structure.problems
