"""Chosen weights that are packed: a few lines of each as numbers, and whether these are sane."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.checkpoint import peek
from ckptscan.content.dequantize import (
    Found,
    NoFormula,
    PackedWeights,
    dequantized,
    needed,
    some_lines,
)
from ckptscan.sources import Source, read_ranges
from ckptscan.structure import Structure, describe
from ckptscan.verify.sizes import Size, doubts, size_of
from ckptscan.verify.values import Pick

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers

LINES = 4  # at the beginning, in the middle and at the end of a matrix
MOST = 512  # weights that are looked at


class Unpacked(NamedTuple):
    """The sizes of dequantized weights, what is odd about them, and what could not be told."""

    sizes: tuple[Size, ...] = ()
    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def unpack_some(source: Source, structure: Structure, picks: Iterable[Pick]) -> Unpacked:
    """A few lines of each packed weight among the picks, by the formula of its scheme.

    Reads nothing but tensors that were picked and their books. Raises SourceError.
    """
    chosen = {pick.row: pick for pick in picks}
    structure = _peeked(source, structure, chosen)
    weights = PackedWeights(structure)
    roles = {row: structure.role(one) for one in structure.families for row in one.rows}
    sizes: list[Size] = []
    reasons: dict[str, int] = {}
    for row, found in _found(weights, chosen):
        matrix = 0 if chosen[row].is_whole else chosen[row].first
        name = structure.checkpoint.table.names[row]
        try:
            numbers = _numbers(source, structure, found, matrix)
        except NoFormula as why:
            reasons[str(why)] = reasons.get(str(why), 0) + 1
        else:
            sizes.append(size_of(name, roles.get(row, "other"), numbers))
    faults = tuple(f"{one.name}: {one.said} ({one.label})" for one in doubts(sizes))
    missing = tuple(f"dequantizing {count:,} weights: {why}" for why, count in reasons.items())
    return Unpacked(tuple(sizes), faults, missing)


def _found(weights: PackedWeights, chosen: Iterable[int]) -> Iterator[tuple[int, Found]]:
    """The packed weights among these rows, at most MOST of them, spread evenly."""
    there = [(row, found) for row in sorted(chosen) if (found := weights.at(row)) is not None]
    step = max(1, -(-len(there) // MOST))
    yield from there[::step]


def _peeked(source: Source, structure: Structure, chosen: Iterable[int]) -> Structure:
    """The structure with shapes that only the bytes of chosen tensors tell."""
    told = peek(source, structure.checkpoint, frozenset(chosen))
    return describe(structure.checkpoint, peeked=told) if told else structure


def _numbers(source: Source, structure: Structure, found: Found, matrix: int) -> Numbers:
    """A few lines of one weight, a row a line. Raises NoFormula and SourceError."""
    import numpy as np

    table, stored = structure.checkpoint.table, found.stored
    runs = some_lines(stored, LINES, matrix if stored.matrices > matrix else 0)
    wanted = [{part.leaf: found.range_of(table, part) for part in needed(stored, run)}
              for run in runs]  # fmt: skip
    held = dict(read_ranges(source, list(dict.fromkeys(r for one in wanted for r in one.values()))))
    lines = [
        dequantized(stored, run, {leaf: held[place] for leaf, place in places.items()})
        for run, places in zip(runs, wanted, strict=True)
    ]
    return np.concatenate(lines)
