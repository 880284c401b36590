"""Packed weights against plain ones, and against each other: by the numbers they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

from ckptscan.content.pairs.values import Wish
from ckptscan.diff import Diff
from tests.content.making import Arrays
from tests.diff.contents import FULL, diff_of, edited, floats, model, nearest, noisy, source, states
from tests.diff.packing import PACKINGS, Array, awq, fp8_block, gptq, quantized

A = {name: one for name, one in model().items() if not re.search(r"layers\.[23]", name)}
COUNT = 14  # linear weights


def compared(b: Arrays, wish: Wish | None = None, a: Arrays = A) -> Diff:
    return diff_of(source(a), source(b), wish)


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
@pytest.mark.parametrize("wish", [Wish(), FULL], ids=["sampled", "full"])
def test_a_quantized_model_is_known_by_its_numbers(
    pack: Callable[[Array], dict[str, tuple[str, Array]]], wish: Wish
) -> None:
    diff = compared(quantized(A, pack), wish)
    verdict = diff.verdicts[0]

    assert {"consistent": COUNT} == {k: v for k, v in states(diff).items() if k == "consistent"}
    assert ("quantized", "proved" if wish.full else "sampled") == (verdict.code, verdict.proof)
    assert "no number is more than half a step off" in verdict.text
    assert verdict.text.startswith("B is A quantized to ")


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_the_quantized_form_of_other_weights_is_told_as_that(
    pack: Callable[[Array], dict[str, tuple[str, Array]]],
) -> None:
    other = edited(A, "_proj", lambda array: nearest(np.roll(floats(array), 1, axis=0)))
    diff = compared(quantized(other, pack))

    assert "consistent" not in states(diff)
    assert "of other numbers" in diff.verdicts[0].text
    assert "B is A" not in diff.verdicts[0].text


def test_a_dequantized_model_has_the_same_numbers() -> None:
    packed = quantized(A, fp8_block)
    diff = compared(packed, FULL)
    assert diff.verdicts

    plain = edited(A, "_proj", _through_fp8)
    back = compared(plain, FULL, packed)

    assert "the same numbers but for rounding" in back.verdicts[0].text
    assert "dequantized" == back.verdicts[0].code


def _through_fp8(array: Array) -> Array:
    """The numbers that are left of a weight once it was packed."""
    held = fp8_block(floats(array))
    codes, scales = held["weight"][1], held["weight_scale_inv"][1]
    power, part = (codes & 0x7F) >> 3, codes & 7
    numbers = np.where(power, (8 + part) * 2.0 ** (power - 10.0), part * 2.0**-9)
    numbers = np.where(codes >> 7, -numbers, numbers)
    spread = scales.repeat(128, 0).repeat(128, 1)[: len(array), : array.shape[1]]
    return nearest(numbers * spread)


def test_two_packings_of_one_model_are_consistent() -> None:
    diff = compared(quantized(A, awq), None, quantized(A, gptq))

    assert COUNT == states(diff)["consistent"]
    assert "requantized" == diff.verdicts[0].code


def test_scaled_channels_are_seen_by_scaling_them_back() -> None:
    """AWQ scales inputs by what the norm before them takes back."""
    draw = np.random.default_rng(2)

    def scaled(array: Array) -> Array:
        return nearest(floats(array) * np.exp(0.7 * draw.standard_normal(array.shape[1])))

    diff = compared(quantized(edited(A, "_proj", scaled), awq))

    assert COUNT == states(diff)["consistent"]
    assert "channels scaled" in diff.verdicts[0].text


def test_errors_that_are_made_up_for_are_no_other_weights() -> None:
    """GPTQ moves later weights to make up for earlier ones: more than half a step, not far."""
    diff = compared(quantized(edited(A, "_proj", noisy), gptq))

    assert COUNT == states(diff)["consistent"]
    assert "make up for errors" in diff.verdicts[0].text


def test_books_that_do_not_fit_are_told() -> None:
    b = quantized(A, gptq)
    name = "model.layers.0.mlp.up_proj.scales"
    b[name] = "F16", b[name][1][:, :-8]
    diff = compared(b)
    reasons = {one.evidence.found.reason for one in diff.changes if one.evidence.found}

    assert {"", "rows of scales are not as long as those of the weight"} == reasons
    assert COUNT - 1 == states(diff)["consistent"]


def test_no_more_is_read_of_packed_weights_than_is_allowed() -> None:
    a, b = source(A), source(quantized(A, gptq))
    diff = diff_of(a, b, Wish(most=60_000))
    nbytes = sum(length for _, _, length in a.ranges + b.ranges)

    assert 60_000 >= nbytes == diff.bytes_read
    assert diff.bytes_wanted


def test_hostile_codes_give_numbers_or_nothing() -> None:
    """Groups that are none, scales of NaN: no error, and never consistent."""
    b = quantized(A, gptq)
    for name in list(b):
        if name.endswith(".g_idx"):
            b[name] = "I32", np.full_like(b[name][1], -(1 << 31))
        if name.endswith(".scales"):
            b[name] = "F16", np.full_like(b[name][1], 0x7E00)
    diff = compared(b, FULL)

    assert "consistent" not in states(diff)
