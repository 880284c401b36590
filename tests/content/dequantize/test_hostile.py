"""Whatever tensors stand under the names of a scheme: numbers, or NoFormula and why."""

from __future__ import annotations

from contextlib import suppress
from math import prod
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckptscan.content.dequantize import (
    Lines,
    NoFormula,
    Stored,
    dequantized,
    formula_of,
    needed,
    some_lines,
)
from ckptscan.structure import packing as package
from ckptscan.structure.packing import Hints, bundle_of, unpack
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.test_schemes import opened, weight_of
from tests.content.dequantize.writing import NAME
from tests.structure.packing.making import kind

SIZES = st.sampled_from([1, 2, 3, 4, 8, 16, 32, 64, 128])
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
TYPES = st.sampled_from("U8 I8 I16 I32 U32 I64 F4 F6_E2M3 F8_E4M3 F8_E8M0 F16 F32".split())
HINTS = st.builds(
    Hints,
    method=st.sampled_from([None, "gptq", "awq", "hqq", "bitnet"]),
    bits=st.sampled_from([None, 2, 3, 4, 8]),
    group=st.sampled_from([None, 32, 64, 128]),
    hidden=st.sampled_from([None, 64, 128]),
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(package.SCHEMES), st.data(), HINTS, st.integers(0, 99))
def test_any_shapes_give_numbers_or_a_reason(
    scheme: Any, data: st.DataObject, hints: Hints, seed: int
) -> None:
    names = sorted({"weight", *scheme.leaves})
    leaves = {
        name: kind(data.draw(TYPES), *data.draw(SHAPES))
        for name in data.draw(st.lists(st.sampled_from(names), unique=True, max_size=6))
    }
    for packing in unpack(leaves, hints):
        bundle = bundle_of(leaves, packing.weight)
        stored = Stored(bundle, packing, {"checkpoint_format": "gptq_v2"} if seed % 2 else {})
        with suppress(NoFormula):
            formula = formula_of(stored)
            for lines in some_lines(stored, 3):
                parts = needed(stored, lines)
                raw = {part.leaf: Random(seed).randbytes(part.length) for part in parts}
                numbers = dequantized(stored, lines, raw)
                other = stored.logical[-3 - formula.axis]
                assert (lines.stop - lines.start, other) == numbers.shape
                assert len(parts) == len(raw)


@pytest.mark.parametrize("case", ["gptq-4", "packed-4", "nf4-nested", "hqq-4"])
def test_bytes_that_are_cut_short_are_a_reason(case: str) -> None:
    _, structure = opened(CASES[case]())
    stored = weight_of(structure).stored
    (lines, *_) = some_lines(stored, 2)
    raw = {part.leaf: bytes(max(0, part.length - 1)) for part in needed(stored, lines)}

    with pytest.raises(NoFormula, match="are missing"):
        dequantized(stored, lines, raw)


@pytest.mark.parametrize(
    ("case", "leaf", "bytes_of", "said"),
    [
        ("gptq-4", "g_idx", b"\xff\xff\xff\x7f", "g_idx names groups"),
        ("nf4-nested", "weight.quant_state.bitsandbytes__nf4", b"[", "no JSON"),
        ("nf4-nested", "weight.quant_state.bitsandbytes__nf4", b"1", "no offset"),
    ],
)
def test_bytes_that_contradict_the_shapes(case: str, leaf: str, bytes_of: bytes, said: str) -> None:
    _, structure = opened(CASES[case]())
    stored = weight_of(structure).stored
    (lines, *_) = some_lines(stored, 2)
    raw = {part.leaf: bytes(part.length) for part in needed(stored, lines)}
    raw[leaf] = bytes_of.ljust(len(raw[leaf]), b" " if leaf != "g_idx" else b"\0")

    with pytest.raises(NoFormula, match=said):
        dequantized(stored, lines, raw)


def test_a_scale_that_does_not_fit_is_a_reason() -> None:
    written = CASES["fp8-channel"]()
    written.tensors[f"{NAME}weight_scale"] = "F32", np.ones((3, 1), "<f4")
    _, structure = opened(written)
    stored = weight_of(structure).stored

    with pytest.raises(NoFormula, match="weight_scale"):
        needed(stored, Lines(0, 1))


def test_a_stack_of_projections_with_a_scale_each_is_not_guessed() -> None:
    leaves = {"weight": kind("F8_E4M3", 96, 64), "scale": kind("F32", 3)}
    bundle = bundle_of(leaves, "weight")
    stored = Stored(bundle, unpack(leaves)[0])

    assert 96 * 64 == prod(stored.logical)
    with pytest.raises(NoFormula, match="which weights"):
        needed(stored, Lines(0, 1))


def test_shapes_that_no_formula_counts_on_are_a_reason() -> None:
    leaves = {
        "codes": kind("I8", 8, 4, 2),
        "codebooks": kind("F16", 2, 256, 1, 8),
        "scales": kind("F16"),
    }
    bundle = bundle_of(leaves, "codes")

    with pytest.raises(NoFormula, match="do not fit one another"):
        some_lines(Stored(bundle, unpack(leaves)[0]), 2)


def test_lines_of_too_many_weights_are_not_made() -> None:
    leaves = {"weight": kind("F8_E4M3", 64, 1 << 22), "weight_scale": kind("F32")}
    bundle = bundle_of(leaves, "weight")
    stored = Stored(bundle, unpack(leaves)[0])

    assert needed(stored, Lines(0, 2))
    with pytest.raises(NoFormula, match="12,582,912 weights"):
        needed(stored, Lines(0, 3))
