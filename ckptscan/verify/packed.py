"""Packed weights among what was chosen: how large what they mean is, and what is odd of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from ckptscan.checkpoint import peek
from ckptscan.sources import Source
from ckptscan.structure import Structure, describe
from ckptscan.verify.sizes import doubts
from ckptscan.verify.unpacking import Unpacked, unpacked


class Judged(NamedTuple):
    """Lines of packed weights as numbers, what is odd of them, and what is not told."""

    weights: tuple[Unpacked, ...] = ()
    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def judge_packed(source: Source, structure: Structure, rows: Collection[int]) -> Judged:
    """What a few lines of each packed weight in these rows mean, by the formula of its scheme.

    Reads nothing but these rows; shapes that only bytes tell are read first. Raises SourceError.
    """
    told = peek(source, structure.checkpoint, rows)
    if told:
        structure = describe(structure.checkpoint, peeked=told)
    weights = tuple(unpacked(source, structure, rows))
    sizes = [one.size for one in weights if one.size is not None]
    faults = tuple(f"{one.name}: {one.said} ({one.label})" for one in doubts(sizes))
    reasons = Counter(f"{one.scheme}: {one.reason}" for one in weights if one.reason)
    missing = tuple(f"dequantizing of {count:,} weights, {why}" for why, count in reasons.items())
    return Judged(tuple(one for one in weights if one.size is not None), faults, missing)
