"""A few lines of packed weights, read and dequantized: how large the weights are that they mean."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ckptscan.content.dequantize import (
    Found,
    Lines,
    NoFormula,
    PackedWeights,
    Part,
    dequantized,
    formula_of,
    needed,
    some_lines,
)
from ckptscan.sources import Range, Source, read_ranges
from ckptscan.structure import Structure
from ckptscan.table import TensorTable
from ckptscan.verify.sizes import Size, size_of

COUNT = 4  # lines at the beginning, in the middle and at the end
_MOST = 64 << 20  # bytes of one weight's lines and scales
_TOGETHER = 8 << 20  # bytes that are asked for at once


class Unpacked(NamedTuple):
    """Lines of one packed weight as numbers.

    `lines` says which they are, `size` how large; it is None where `reason` says why nothing can be
    told. `nbytes` were read.
    """

    name: str
    scheme: str
    lines: str = ""
    size: Size | None = None
    reason: str = ""
    nbytes: int = 0


class _Wanted(NamedTuple):
    """A weight, and the bytes of each of its runs of lines."""

    name: str
    role: str
    found: Found
    runs: Mapping[Lines, Mapping[Part, Range]]

    @property
    def ranges(self) -> list[Range]:
        """Each range once: scales are those of several runs."""
        every = (place for parts in self.runs.values() for place in parts.values())
        return list(dict.fromkeys(every))

    @property
    def nbytes(self) -> int:
        """Bytes that are read."""
        return sum(place.length for place in self.ranges)


def unpacked(
    source: Source, structure: Structure, rows: Collection[int] | None = None
) -> Iterator[Unpacked]:
    """What some lines of packed weights mean, all of them or those in these rows of the table.

    Only the lines and their scales are read. Raises SourceError.
    """
    held: list[_Wanted] = []
    for one in _wanted(structure, rows):
        if isinstance(one, Unpacked):
            yield one
            continue
        held.append(one)
        if sum(each.nbytes for each in held) >= _TOGETHER:
            yield from _read(source, held)
            held = []
    yield from _read(source, held)


def _wanted(structure: Structure, rows: Collection[int] | None) -> Iterator[_Wanted | Unpacked]:
    """What is to be read of each weight, or why nothing is."""
    weights = PackedWeights(structure)
    table = structure.checkpoint.table
    for family in structure.families:
        role = structure.role(family)
        role = family.pattern if role == "other" else role
        for row in family.rows:
            found = weights.at(row) if rows is None or row in rows else None
            if found is not None:
                yield _planned(table, table.names[row], role, found)


def _planned(table: TensorTable, name: str, role: str, found: Found) -> _Wanted | Unpacked:
    scheme = found.stored.packing.scheme
    try:
        runs = {
            lines: {part: found.range_of(table, part) for part in needed(found.stored, lines)}
            for lines in some_lines(found.stored, COUNT)
        }
    except NoFormula as none:
        return Unpacked(name, scheme, reason=str(none))
    wanted = _Wanted(name, role, found, runs)
    if wanted.nbytes > _MOST:
        return Unpacked(name, scheme, reason=f"a few lines take {wanted.nbytes:,} bytes")
    return wanted


def _read(source: Source, wanted: list[_Wanted]) -> Iterator[Unpacked]:
    places = dict.fromkeys(place for one in wanted for place in one.ranges)
    raw = dict(read_ranges(source, list(places)))
    for one in wanted:
        yield _told(one, raw)


def _told(one: _Wanted, raw: Mapping[Range, bytes]) -> Unpacked:
    import numpy as np

    stored = one.found.stored
    try:
        numbers = [
            dequantized(stored, lines, {part.leaf: raw[place] for part, place in parts.items()})
            for lines, parts in one.runs.items()
        ]
        axis = formula_of(stored).axis
    except NoFormula as none:
        return Unpacked(one.name, stored.packing.scheme, reason=str(none), nbytes=one.nbytes)
    size = size_of(one.name, one.role, np.concatenate(numbers))
    said = ",".join(f"{lines.start}-{lines.stop - 1}" for lines in one.runs)
    which = f"{'outputs' if axis == -2 else 'inputs'} {said}"
    return Unpacked(one.name, stored.packing.scheme, which, size, nbytes=one.nbytes)
