"""Blocks of every dtype against a plain oracle; blocks of any size give the same."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.content.formats import INTEGERS, LAYOUTS, decode
from ckptscan.content.measuring import PAGE, Partial, Room, measure, page_sums
from ckptscan.content.tally import Tally
from ckptscan.dtypes import DTYPES
from tests.content import oracle

ROOM = Room()
SMALL = 24  # bytes of a page; whole elements of every dtype


def raw_of(dtype: str, nbytes: int, seed: int = 0) -> bytes:
    raw = random.Random(f"{dtype}{seed}").randbytes(nbytes)
    return bytes(byte & 1 for byte in raw) if dtype == "BOOL" else raw


def tame(dtype: str, raw: bytes) -> bytes:
    """The same without what is no number."""
    width = (DTYPES[dtype].bits or 8) // 8
    if dtype in INTEGERS or width == 0:
        return raw
    items = [raw[at : at + width] for at in range(0, len(raw), width)]
    return b"".join(
        item if all(map(math.isfinite, oracle.numbers(dtype, item * 2))) else bytes(width)
        for item in items
    )


def measured(dtype: str, raw: bytes) -> Partial:
    return measure(dtype, np.frombuffer(raw, "u1"), 0, ROOM)[0]


def test_every_dtype_of_the_format_is_known() -> None:
    assert DTYPES.keys() == LAYOUTS.keys() | INTEGERS.keys()


@pytest.mark.parametrize("dtype", [*LAYOUTS])
@pytest.mark.parametrize("seed", range(3))
def test_decoding_is_that_of_the_oracle(dtype: str, seed: int) -> None:
    raw = raw_of(dtype, 960, seed)
    expected = oracle.numbers(dtype, raw)
    seen = decode(dtype, np.frombuffer(raw, "u1"))

    np.testing.assert_array_equal(np.array(expected), seen)


@pytest.mark.parametrize("dtype", [*DTYPES])
@pytest.mark.parametrize("nbytes", [24, 960, 24 * 401])
@pytest.mark.parametrize("is_tame", [True, False])
def test_a_block_of_every_dtype(dtype: str, nbytes: int, is_tame: bool) -> None:
    raw = raw_of(dtype, nbytes)
    raw = tame(dtype, raw) if is_tame else raw
    numbers = oracle.numbers(dtype, raw)
    finite = [number for number in numbers if math.isfinite(number)]
    found = measured(dtype, raw)

    assert len(numbers) == found.seen
    assert sum(map(math.isnan, numbers)) == found.nan
    assert sum(map(math.isinf, numbers)) == found.inf
    assert numbers.count(-math.inf) == found.negative_inf
    assert numbers.count(0) == found.zeros
    assert (min(finite, default=None), max(finite, default=None)) == (found.lowest, found.highest)
    if dtype in LAYOUTS:
        big = [float(number) ** 2 if abs(number) < 1e150 else math.inf for number in finite]
        assert len(finite) == found.measured
        assert found.squares == pytest.approx(math.fsum(big), rel=1e-4)
        if dtype not in ("F64", "C64", "F32", "BF16"):  # there all but the largest is lost
            assert found.total == pytest.approx(math.fsum(finite), rel=1e-3, abs=1e-3 * len(finite))


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"])
@pytest.mark.parametrize(
    "values",
    [
        pytest.param([0.0] * 5, id="zeros"),
        pytest.param([-0.0] * 5, id="negative zeros"),
        pytest.param([1.5, 0.5, 2.0], id="positive"),
        pytest.param([-1.5, -0.5, -2.0], id="negative"),
        pytest.param([-1.5, 0.0], id="not above zero"),
        pytest.param([1.5], id="one"),
    ],
)
def test_signs(dtype: str, values: list[float]) -> None:
    layout = LAYOUTS[dtype]
    codes = (
        {layout.value(code): code for code in range(1 << layout.bits)} if layout.bits <= 16 else {}
    )
    kinds = {"F32": "<f4", "F64": "<f8"}
    if dtype in kinds:
        raw = np.array(values, kinds[dtype]).tobytes()
    else:
        width = layout.bits // 8
        coded = [codes[abs(v)] | (layout.sign if math.copysign(1, v) < 0 else 0) for v in values]
        raw = b"".join(code.to_bytes(width, "little") for code in coded)
    found = measured(dtype, raw)

    assert (min(values), max(values)) == (found.lowest, found.highest)
    assert sum(value == 0 for value in values) == found.zeros
    assert sum(values) == pytest.approx(found.total)


def test_the_ends_of_f16() -> None:
    values = np.array([65504, -65504, 1e-6, 6e-5, 7e-5, 0, -1e-7, 65472], "<f2")
    found = measured("F16", values.tobytes())
    with_nan = measured("F16", np.append(values, np.float16("nan")).tobytes())

    assert (2, 3) == (found.saturated, found.subnormal)
    assert (2, 3, 1) == (with_nan.saturated, with_nan.subnormal, with_nan.nan)


def tallied(dtype: str, raw: bytes, cuts: list[int], page: int) -> object:
    """The statistics of bytes that come in pieces."""
    bounds = [0, *cuts, len(raw)]
    pieces = [(a, b) for a, b in itertools.pairwise(bounds) if a < b]
    tally = Tally(1, len(raw), [start for start, _ in pieces], None, page)
    for start, end in reversed(pieces):
        part = np.frombuffer(raw[start:end], "u1")
        tally.add(start, *measure(dtype, part, start // page, ROOM, page))

    assert tally.is_done
    return tally.statistics()


@given(
    dtype=st.sampled_from([*DTYPES]),
    pages=st.integers(1, 60),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_blocks_of_any_size_give_the_same(
    dtype: str, pages: int, seed: int, data: st.DataObject
) -> None:
    raw = bytearray(raw_of(dtype, pages * SMALL, seed))
    hole = data.draw(st.integers(0, pages))
    raw[hole * SMALL : (hole + 3) * SMALL] = bytes(len(raw[hole * SMALL : (hole + 3) * SMALL]))
    cuts = data.draw(st.sets(st.integers(1, pages)))
    whole = tallied(dtype, bytes(raw), [], SMALL)
    cut = tallied(dtype, bytes(raw), sorted(number * SMALL for number in cuts), SMALL)

    for name, one, other in zip(whole._fields, whole, cut, strict=True):  # type: ignore[attr-defined]
        if name in ("total", "squares"):
            assert other == pytest.approx(one, rel=1e-3, nan_ok=True), name
        else:
            assert one == other, name


def test_pages_tell_holes_and_repeats() -> None:
    one = random.Random(1).randbytes(PAGE)
    other = random.Random(2).randbytes(PAGE)
    raw = one + bytes(3 * PAGE) + one + other + bytes(PAGE)
    found = tallied("U8", raw, [2 * PAGE], PAGE)

    assert (PAGE, 3 * PAGE) == found.hole  # type: ignore[attr-defined]
    assert (1, 7) == (found.repeats, found.pages)  # type: ignore[attr-defined]


def test_a_page_that_is_cut_short_counts() -> None:
    raw = np.frombuffer(bytes(PAGE) + b"\1\2\3", "u1")

    assert [0, 0x30201] == page_sums(raw).tolist()
