"""Every scheme with known content: lines come back as what was written, and only they are read."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ckptscan.content.dequantize import (
    Found,
    Lines,
    NoFormula,
    PackedWeights,
    dequantized,
    formula_of,
    needed,
    some_lines,
    with_halves,
)
from ckptscan.content.dequantize.values import Coded
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.elements import mxfp4_blocks
from tests.content.dequantize.writing import IN, OUT, Written, bf16
from tests.content.making import raw_file, source_of, structure_of

# weights that are one run of codes, or of books, of which whole lines are read
IN_ONE_RUN = ("aqlm", "awq-gemv", "bitnet", "bnb-8bit", "hqq", "nf4", "quanto")


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


@pytest.mark.parametrize("case", [case for case in CASES if not case.startswith(IN_ONE_RUN)])
def test_a_part_of_each_line_is_that_part_of_it(case: str) -> None:
    """The same numbers and reaches, and no more bytes than of whole lines."""
    written = CASES[case]()
    source, structure = opened(written)
    found = weight_of(structure)
    formula = formula_of(found.stored)

    assert formula.tile is not None
    step, tile = formula.step(found.stored), formula.tile(found.stored)
    wide = found.stored.logical[-3 - formula.axis]
    whole = Lines(step, 3 * step)
    for span in ((0, tile), (wide // 2, wide), (tile, wide // 2 + tile)):
        part = whole._replace(span=span)
        expected, actual = (reached(source, structure, found, one) for one in (whole, part))
        left, right = span

        for one, two in zip(expected, actual, strict=True):
            np.testing.assert_array_equal(one[:, left:right], two)
        assert nbytes(found, part) <= nbytes(found, whole)


def nbytes(found: Found, lines: Lines) -> int:
    return sum(part.nbytes for part in needed(found.stored, lines))


def reached(
    source: MemorySource, structure: Structure, found: Found, lines: Lines
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    raw = {}
    for part in needed(found.stored, lines):
        place = found.range_of(structure.checkpoint.table, part)
        begin = place.start - part.start
        raw[part.leaf] = b"".join(
            source.read(place.path, begin + start, length) for start, length in part.runs
        )
    return with_halves(found.stored, lines, raw)


@pytest.mark.parametrize(
    ("known", "values", "halves"),
    [
        ([0, 1, 2, 3], [-2, 0, 2, 4], [2, 1, 1, 2]),
        ([-1, 0, 0.5, 2], [-4, -2, -1, 2], [2, 1, 1.5, 3]),
        ([0, 1, np.nan, np.inf], [-2, 0, np.nan, np.inf], [2, 2, 0, 0]),
    ],
    ids=["integers", "table", "no-numbers"],
)
def test_a_code_reaches_half_the_way_to_the_next_and_the_last_one_twice_as_far(
    known: list[float], values: list[float], halves: list[float]
) -> None:
    codes = np.arange(4, dtype="u1").reshape(1, 4)
    coded = Coded(codes, np.array(known, "f4"), np.full((1, 1), 2, "f4"), zero=1.0)

    np.testing.assert_array_equal([values], coded.values)
    np.testing.assert_array_equal([halves], coded.halves)


def test_what_sums_of_entries_may_stand_for_is_not_known() -> None:
    source, structure = opened(CASES["aqlm"]())

    with pytest.raises(NoFormula, match="how far its codes reach"):
        reached(source, structure, weight_of(structure), Lines(0, 8))


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
