"""Damaged scales are found by the size of the weights that they make; trained ones are quiet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ckptscan.verify.sizes import Doubt, Size, doubts, size_of

Matrix = NDArray[np.float64]


def layer(seed: int, factor: float = 1.0) -> Matrix:
    draw = np.random.default_rng(seed)
    channels = draw.lognormal(0, 0.5, (32, 1))
    return draw.standard_normal((32, 256)) * 0.02 * channels * factor


def layers(count: int = 8) -> list[Size]:
    """Layers whose sizes drift by a factor of four from the first to the last."""
    return [
        size_of(f"layers.{place}.up", "up", layer(place, 4 ** (place / count)))
        for place in range(count)
    ]


def swapped(numbers: Matrix) -> Matrix:
    """Scales of F32 in the other byte order, over integers."""
    scales = np.abs(numbers[:, :1]).astype("<f4").byteswap().astype("f8")
    return np.round(numbers / 0.02) * np.nan_to_num(scales, nan=1.0, posinf=1.0)


def test_layers_of_a_trained_model_are_no_cause_for_doubt() -> None:
    assert [] == list(doubts(layers()))


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda numbers: numbers * 0, "zero"),
        (lambda numbers: numbers * 100, "times above the median"),
        (lambda numbers: numbers / 100, "times below the median"),
        (lambda numbers: numbers * 1e9, "no trained layer"),
        (lambda numbers: numbers * np.where(np.arange(32) % 2, 1e-3, 1)[:, None], "rows"),
        (lambda numbers: numbers * np.where(np.arange(256) % 2, 1e-3, 1), "columns"),
        (lambda numbers: numbers + np.where(np.arange(256) == 3, np.nan, 0), "no numbers"),
    ],
    ids=["zero", "hundredfold", "hundredth", "huge", "rows", "columns", "nan"],
)
def test_damage_of_one_layer_is_found(damage: Callable[[Matrix], Matrix], word: str) -> None:
    sizes = layers()
    sizes[3] = size_of("layers.3.up", "up", damage(layer(3)))
    found = list(doubts(sizes))

    assert ["layers.3.up"] == [one.name for one in found]
    assert word in found[0].said


def test_bytes_of_scales_in_the_wrong_order_are_found_though_all_layers_have_it() -> None:
    sizes = [size_of(f"layers.{place}.up", "up", swapped(layer(place))) for place in range(6)]

    assert [one.name for one in sizes] == [one.name for one in doubts(sizes)]


def test_too_few_layers_make_no_median() -> None:
    sizes = [size_of("a", "up", layer(0)), size_of("b", "up", layer(1, 100))]

    assert [] == list(doubts(sizes))


def test_other_roles_are_of_other_sizes() -> None:
    sizes = [*layers(), size_of("head", "lm_head", layer(9, 100))]

    assert [] == list(doubts(sizes))


def test_what_is_no_number_at_all_has_no_size() -> None:
    size = size_of("a", "up", np.full((2, 2), np.nan))
    expected = Doubt("a", "4 dequantized weights are no numbers", "exact")

    assert size.rms is None
    assert [expected] == list(doubts([size]))


def test_zeros_among_too_few_are_no_cause_for_doubt() -> None:
    assert [] == list(doubts([size_of("a", "up", np.zeros((4, 8))), size_of("b", "up", layer(1))]))
