"""Figures of every dtype of the format, against a decoder that takes one number at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from ckptscan.dtypes import DTYPES, dtype
from ckptscan.verify.figures import Figures, figures_of, joined
from ckptscan.verify.rows import RowNorms, has_norms, row_norms
from tests.content import oracle
from tests.content.test_measuring import raw_of, tame


def parts(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[start : start + size] for start in range(0, len(raw), size))


def expected(name: str, raw: bytes) -> Figures:
    numbers = oracle.numbers(name, raw)
    finite = [number for number in numbers if math.isfinite(number)]
    exact = np.array(finite, np.longdouble)
    mean = exact.mean() if finite else None
    return Figures(
        len(numbers),
        sum(map(math.isnan, numbers)),
        sum(map(math.isinf, numbers)),
        numbers.count(0),
        min(finite, default=None),
        max(finite, default=None),
        None if mean is None else float(mean),
        None if mean is None else float(np.sqrt(((exact - mean) ** 2).mean())),
    )


def agree(one: Figures, two: Figures) -> None:
    assert (one.count, one.nan, one.inf, one.zeros) == (two.count, two.nan, two.inf, two.zeros)
    assert (one.min, one.max) == (two.min, two.max)
    size = one.rms or 0.0
    assert one.mean == pytest.approx(two.mean, rel=1e-6, abs=1e-7 * size)
    assert one.std == pytest.approx(two.std, rel=1e-6)


@pytest.mark.parametrize("name", [*DTYPES])
@pytest.mark.parametrize("is_tame", [True, False])
@pytest.mark.parametrize(
    "size", [500, *(pytest.param(n, marks=pytest.mark.slow) for n in (7, 1 << 20))]
)
def test_figures_of_every_dtype_however_its_bytes_come(name: str, is_tame: bool, size: int) -> None:
    count = 2_400 if size == 7 else 9_600  # more pieces of seven bytes tell nothing more
    raw = tame(name, raw_of(name, count)) if is_tame else raw_of(name, count)

    agree(expected(name, raw), figures_of(name, parts(raw, size)))


@pytest.mark.parametrize("name", ["F32", "BF16", "F16", "F64"])
@pytest.mark.parametrize("mean", [0.0, 1.0, 1000.0])
def test_a_mean_far_from_zero_costs_no_digits(name: str, mean: float) -> None:
    numbers = np.random.default_rng(1).normal(mean, 0.01 * mean + 0.001, 1 << 20)
    kinds = {"F32": "<f4", "F16": "<f2", "F64": "<f8"}
    if name == "BF16":
        raw = (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")
        numbers = (raw.astype("<u4") << 16).view("<f4").astype("f8")
    else:
        raw = numbers.astype(kinds[name])
        numbers = raw.astype("f8")
    found = figures_of(name, parts(raw.tobytes(), 1 << 22))

    assert found.mean == pytest.approx(numbers.mean(), rel=1e-5, abs=1e-8)
    assert found.std == pytest.approx(numbers.std(), rel=1e-5)


def test_no_bytes_hold_nothing() -> None:
    assert Figures() == figures_of("BF16", [])
    assert 0 == Figures().absmax


def test_what_is_no_number_alone_has_no_mean() -> None:
    found = figures_of("F32", [np.full(5, np.nan, "<f4").tobytes()])

    assert Figures(5, nan=5) == found
    assert found.rms is None


def test_figures_add_up_whichever_comes_first() -> None:
    raw = [raw_of("BF16", 4_000, seed) for seed in range(2)]
    one, two = (figures_of("BF16", [part]) for part in raw)

    agree(joined(one, two), joined(two, one))
    assert one == joined(Figures(), one) == joined(one, Figures())


@pytest.mark.parametrize("name", ["F32", "BF16", "F8_E4M3", "F4", "F6_E2M3"])
@pytest.mark.parametrize("size", [5, 96, 1 << 20])
def test_norms_of_rows(name: str, size: int) -> None:
    kind = dtype(name)
    raw = tame(name, raw_of(name, 40 * 48 * (kind.bits or 8) // 8))
    if name == "F32":  # numbers of all sizes have norms of infinity
        raw = np.random.default_rng(0).standard_normal(40 * 48).astype("<f4").tobytes()
    table = np.array(oracle.numbers(name, raw)).reshape(40, 48)
    lengths = np.linalg.norm(table, axis=1)
    found = row_norms(kind, 48, parts(raw, size))

    assert has_norms(kind, (40, 48))
    assert 40 == found.rows
    if np.isfinite(lengths).all():
        ends = float(lengths.min()), float(np.median(lengths)), float(lengths.max())
        assert ends == pytest.approx((found.least, found.median, found.largest))


def test_rows_of_zeros_and_of_no_numbers_are_told() -> None:
    table = np.ones((4, 8), "<f4")
    table[1], table[2, 3] = 0, np.nan
    expected = RowNorms(4, 0.0, math.sqrt(8), math.sqrt(8), zero=1, odd=1)

    assert expected == row_norms(dtype("F32"), 8, [table.tobytes()])


def test_rows_of_no_numbers_have_no_norms() -> None:
    table = np.full((3, 8), np.inf, "<f4")

    assert RowNorms(3, None, None, None, odd=3) == row_norms(dtype("F32"), 8, [table.tobytes()])


@pytest.mark.parametrize(
    ("name", "shape"),
    [("I8", (4, 4)), ("F4", (4, 3)), ("F8_E8M0", (4, 4)), ("F32", (4,)), ("X9", (4, 4))],
)
def test_what_has_no_rows_of_whole_bytes_has_no_norms(name: str, shape: tuple[int, ...]) -> None:
    assert not has_norms(dtype(name), shape)
