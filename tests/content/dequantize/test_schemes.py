"""Every scheme with known content: lines come back as what was written, and only they are read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ckptscan.content.dequantize import (
    Found,
    Lines,
    PackedWeights,
    dequantized,
    formula_of,
    needed,
    some_lines,
)
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.elements import mxfp4_blocks
from tests.content.dequantize.writing import IN, OUT, Written, bf16
from tests.content.making import raw_file, source_of, structure_of


def opened(written: Written) -> tuple[MemorySource, Structure]:
    """A model of one packed linear among what tells its width."""
    around = {
        "model.norm.weight": ("BF16", bf16(np.ones(IN))),
        "model.embed_tokens.weight": ("BF16", bf16(np.ones((512, IN)))),
    }
    config = {"model_type": "llama", "hidden_size": IN, "quantization_config": written.said or {}}
    source = source_of(raw_file(around | written.tensors), config=config)
    return source, structure_of(source)


def weight_of(structure: Structure) -> Found:
    (row,) = weights = list(PackedWeights(structure))
    found = PackedWeights(structure).at(row)

    assert 1 == len(weights)
    assert found is not None
    return found


def read(
    source: MemorySource, structure: Structure, found: Found, lines: Lines
) -> NDArray[np.float32]:
    parts = needed(found.stored, lines)
    ranges = {part.leaf: found.range_of(structure.checkpoint.table, part) for part in parts}
    raw = {leaf: source.read(*place) for leaf, place in ranges.items()}
    return dequantized(found.stored, lines, raw)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("count", [5, OUT * IN])
def test_lines_are_what_was_written(case: str, count: int) -> None:
    written = CASES[case]()
    source, structure = opened(written)
    found = weight_of(structure)
    runs = some_lines(found.stored, count)
    expected = written.weights
    if formula_of(found.stored).axis == -1:
        expected = expected.T

    assert written.weights.shape == found.stored.logical
    assert runs
    for lines in runs:
        numbers = read(source, structure, found, lines)
        assert np.float32 == numbers.dtype
        np.testing.assert_allclose(
            numbers, expected[lines.start : lines.stop], rtol=1e-5, atol=1e-7
        )


def test_a_matrix_of_a_stack() -> None:
    written = mxfp4_blocks()
    source, structure = opened(written)
    found = weight_of(structure)

    assert (3, OUT, IN) == found.stored.logical
    for matrix in range(3):
        lines = Lines(2, 7, matrix)
        numbers = read(source, structure, found, lines)
        np.testing.assert_array_equal(written.weights[matrix, 2:7].astype("f4"), numbers)


def test_nothing_is_asked_for_but_the_lines_and_their_scales() -> None:
    _, structure = opened(CASES["fp8-block"]())
    found = weight_of(structure)
    places = {part.leaf: (part.start, part.length) for part in needed(found.stored, Lines(40, 42))}

    assert {"weight": (40 * IN, 2 * IN), "weight_scale_inv": (8 * 4, 8 * 4)} == places
