"""Loading of tensor-parallel parts: how much of which part each rank reads.

A part holds one of so many equal slices of a tensor, a rank needs one of its own number; what
both have in common is read. Of what every part holds whole, a rank reads the copy that lies
nearest to its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import NamedTuple

from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut, local_shape
from ckptscan.structure import Family


class Slice(NamedTuple):
    """One of `many` equal slices, by its place."""

    place: int
    many: int

    def shared(self, part: Slice, nbytes: int) -> int:
        """Bytes of a part, which has so many, that this slice needs."""
        low = max(self.place * part.many, part.place * self.many)
        high = min((self.place + 1) * part.many, (part.place + 1) * self.many)
        return nbytes * max(0, high - low) // self.many


def from_parts(
    family: Family, module: Module, leaf: Leaf, model: Model, held: tuple[int, Cut]
) -> Iterator[int]:
    """Bytes that a rank, by its number, reads of the family's tensor in each part, in order."""
    rank, cut = held
    whole, ranks = family.kind.nbytes, max(1, cut.ways(module))
    place = rank % ranks
    if prod(leaf.shape) <= prod(family.shape):
        nearest = place * family.copies // ranks
        yield from (whole * (part == nearest) for part in range(family.copies))
        return
    local = local_shape(module, leaf, model.heads, cut, model.facts.hidden)
    many = min(ranks, max(1, prod(leaf.shape) // max(1, prod(local))))
    mine = Slice(place * many // ranks, many)
    for part in range(family.copies):
        yield mine.shared(Slice(part, family.copies), whole)


def layer_of(pattern: str, name: str, star: int) -> int | None:
    """The number that stands for a star of the pattern; None where none does."""
    places = [place for place, segment in enumerate(pattern.split(".")) if segment == "*"]
    segments = name.split(".")
    found = segments[places[star]] if star < len(places) <= len(segments) else ""
    return int(found) if found.isascii() and found.isdigit() else None
