"""Packed weights of a model: a few lines of each are read, damaged scales are found."""

from __future__ import annotations

import json
import struct
from math import prod

import numpy as np
import pytest

from ckptscan.header import LENGTH
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure
from ckptscan.verify.sizes import doubts
from ckptscan.verify.unpacking import Unpacked, unpacked
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.writing import IN, NAME, OUT, bf16
from tests.content.making import Arrays, raw_file, source_of, structure_of

LAYERS = 5
SCALES = {
    "gptq-4": "scales",
    "awq": "scales",
    "packed-4": "weight_scale",
    "mlx-4": "scales",
    "nvfp4-modelopt": "weight_scale",
    "fp8-block": "weight_scale_inv",
    "int8": "weight_scale",
    "bnb-int8": "SCB",
    "nf4": "weight.absmax",
    "hqq-4": "scale",
}


def model(case: str) -> Arrays:
    """So many layers of the same packed weights."""
    tensors: Arrays = {
        "model.norm.weight": ("BF16", bf16(np.ones(IN))),
        "model.embed_tokens.weight": ("BF16", bf16(np.ones((512, IN)))),
    }
    for name, held in CASES[case]().tensors.items():
        for place in range(LAYERS):
            tensors[name.replace("layers.0.", f"layers.{place}.")] = held
    return tensors


def opened(case: str, tensors: Arrays) -> tuple[MemorySource, Structure]:
    said = CASES[case]().said or {}
    config = {"model_type": "llama", "hidden_size": IN, "quantization_config": said}
    source = source_of(raw_file(tensors), config=config)
    structure = structure_of(source)
    source.ranges.clear()
    return source, structure


def found_in(case: str, tensors: Arrays) -> list[Unpacked]:
    return list(unpacked(*opened(case, tensors)))


@pytest.mark.parametrize("case", SCALES)
def test_sound_weights_are_no_cause_for_doubt(case: str) -> None:
    found = found_in(case, model(case))

    assert LAYERS == len(found)
    assert [""] * LAYERS == [one.reason for one in found]
    assert [] == list(doubts(one.size for one in found if one.size))


@pytest.mark.parametrize("case", SCALES)
def test_scales_of_zero_are_found(case: str) -> None:
    tensors = model(case)
    name = NAME.replace("0", "2") + SCALES[case]
    dtype, scales = tensors[name]
    tensors[name] = dtype, np.zeros_like(scales)
    if case == "mlx-4":  # there the biases carry on
        name = NAME.replace("0", "2") + "biases"
        tensors[name] = dtype, np.zeros_like(scales)
    found = found_in(case, tensors)
    names = [one.name.split(".")[2] for one in doubts(one.size for one in found if one.size)]

    assert ["2"] == names


@pytest.mark.parametrize("case", ["gptq-4", "awq", "fp8-block", "int8", "bnb-int8", "nf4"])
def test_scales_of_a_hundred_times_are_found(case: str) -> None:
    tensors = model(case)
    name = NAME.replace("0", "3") + SCALES[case]
    dtype, scales = tensors[name]
    tensors[name] = dtype, (scales.astype("f8") * 100).astype(scales.dtype)
    found = found_in(case, tensors)
    names = [one.name.split(".")[2] for one in doubts(one.size for one in found if one.size)]

    assert ["3"] == names


def test_only_lines_and_their_scales_are_read() -> None:
    tensors = model("fp8-block")
    source, structure = opened("fp8-block", tensors)
    found = list(unpacked(source, structure, range(6)))
    table = structure.checkpoint.table
    (shard,) = table.shards
    read = set()
    for _, start, length in source.ranges:
        for tensor in table:
            begin = LENGTH + shard.header_size + tensor.start
            if begin < start + length and start < begin + tensor.nbytes:
                read.add(tensor.name)
    every = 3 * 4 * IN + 4 * 8 * 4  # the lines in the middle are of two blocks

    assert all(".up_proj." in name for name in read)
    assert {every} == {one.nbytes for one in found}
    assert sum(one.nbytes for one in found) == sum(length for _, _, length in source.ranges)


def test_a_scheme_without_a_formula_is_named() -> None:
    tensors: Arrays = {
        "model.layers.0.mlp.up_proj.B": ("I32", np.zeros((IN // 16, 2 * OUT), "<i4")),
        "model.layers.0.mlp.up_proj.s": ("F16", np.ones((2, OUT), "<f2")),
    }
    (found,) = found_in("int8", tensors)

    assert "no formula of marlin is known here" == found.reason


def test_lines_that_are_too_long_are_not_read() -> None:
    name = "model.layers.0.mlp.up_proj."
    tensors: Arrays = {
        name + "weight": ("F8_E4M3", np.zeros((4, 1 << 20), "u1")),
        name + "weight_scale": ("F32", np.ones((4, 1 << 20), "<f4")),
    }
    source, structure = opened("int8", tensors)
    (found,) = unpacked(source, structure)

    assert found.size is not None
    assert 5 * (4 << 20) == found.nbytes
    tensors = {
        name + "weight": ("F8_E4M3", np.zeros((2, 1 << 23), "u1")),
        name + "weight_scale": ("F32", np.ones((2, 1), "<f4")),
    }
    (found,) = unpacked(*opened("int8", tensors))
    assert "the lines have 16,777,216 weights" == found.reason


def test_bytes_that_contradict_each_other_are_told() -> None:
    tensors = model("gptq-4")
    name = NAME.replace("0", "1") + "g_idx"
    tensors[name] = "I32", np.full(IN, 99, "<i4")
    reasons = [one.reason for one in found_in("gptq-4", tensors)]

    assert ["", "g_idx names groups that there are not", "", "", ""] == reasons


def test_scales_that_are_too_large_are_not_read() -> None:
    shapes = {
        "qweight": ("I32", (512, 1 << 16)),
        "scales": ("F16", (512, 1 << 16)),
        "g_idx": ("I32", (4096,)),
    }
    entries, reached = {}, 0
    for leaf, (dtype, shape) in shapes.items():
        end = reached + prod(shape) * (2 if dtype == "F16" else 4)
        place = {"dtype": dtype, "shape": shape, "data_offsets": [reached, end]}
        entries["model.layers.0.mlp.up_proj." + leaf], reached = place, end
    head = json.dumps(entries).encode()
    source = source_of(struct.pack("<Q", len(head)) + head)
    (found,) = unpacked(source, structure_of(source))

    assert found.reason.startswith("a few lines take ")


def test_a_layer_without_the_books_of_the_others() -> None:
    tensors = model("fp8-channel")
    del tensors[NAME.replace("0", "1") + "weight_scale"]
    found = found_in("fp8-channel", tensors)

    assert LAYERS == len(found)
    assert all(not one.reason for one in found)
