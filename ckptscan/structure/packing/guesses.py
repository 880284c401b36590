"""Widths of a packed weight: which could be, and which it is.

Packed words alone leave open how many bits one weight has. What the scales and zeros say narrows
it down; where two widths still fit, the hidden size decides, or the config.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptscan.structure.packing.values import CONFIG, EXACT, INFERRED, Hints, ceil_div

# group sizes that quantizers offer, the usual ones first
GROUPS = (128, 64, 32, 16, 256, 512, 1024, 8)


class Guess(NamedTuple):
    """A width that fits the stored shape: bits, the in_features that follow, the group size."""

    bits: int
    wide: int
    group: int | None


def widths(stored: int, count: int, word: int) -> list[int]:
    """Bits from 1 to 8 at which `count` values fill `stored` words of `word` bits.

    stored = ceil(count * bits / word): compressed-tensors pack_to_int32, GPTQModel's qweight.
    """
    return [bits for bits in range(1, 9) if ceil_div(count * bits, word) == stored]


def group_of(count: int, groups: int | None) -> int | None:
    """How many of `count` values share a scale, None for all of them or where it can't be told."""
    if groups is None or groups <= 1 or groups > count:
        return None
    whole = None if count % groups else count // groups
    if whole in GROUPS:
        return whole
    # 150 inputs in 2 groups are 128 and 22 rather than 75 each
    return next((size for size in GROUPS if ceil_div(count, size) == groups), whole)


def settle(guesses: Iterable[Guess], hints: Hints) -> tuple[Guess | None, str]:
    """The guess that holds, and the label of what decided; None while several are open."""
    open_guesses = list(dict.fromkeys(guesses))
    if len(open_guesses) == 1:
        return open_guesses[0], EXACT
    hidden = [guess for guess in open_guesses if guess.wide == hints.hidden]
    if len(hidden) == 1 and hints.faces_out is False:
        return hidden[0], INFERRED
    declared = _declared(open_guesses, hints)
    if len(declared) == 1:
        return declared[0], CONFIG
    if len(hidden) == 1 and hints.faces_out is None:
        return hidden[0], INFERRED
    return None, INFERRED


def _declared(guesses: Sequence[Guess], hints: Hints) -> list[Guess]:
    """The guesses that agree with what the config says; none if it says nothing."""
    if hints.bits is None and hints.group is None:
        return []
    return [
        guess
        for guess in guesses
        if hints.bits in (None, guess.bits) and (hints.group in (None, -1, guess.group))
    ]
