"""The values of matching: units of one side, parts of them, matches of parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ckptscan.names import IndexSet, fill
from ckptscan.structure.families import Family
from ckptscan.structure.match.regions import Region
from ckptscan.structure.packing.values import Packing, Shape
from ckptscan.structure.roles import Role

# how a match was found, from the surest to the least sure
NAME, LAYERS, RULE, MODULE, ROLE, SHAPES = "name", "layers", "rule", "module", "role", "shapes"


@dataclass(frozen=True)
class Unit:
    """A family as it takes part in matching.

    `segments` are those of its name without wrappers, a packed leaf under the name of the weight
    that it stands for, after `component/` in a pipeline. `region` holds its index tuples in the
    numbering of side A; `numbers` gives A's numbers of the first axis -> its own where they differ.
    `shape` is the logical shape and `each` the logical elements of one tensor, as in End. `kin`
    are words of its place that tell alike modules apart.
    """

    family: Family
    segments: tuple[str, ...]
    region: Region
    role: Role
    shape: Shape | None
    each: int | None
    packing: Packing | None = None
    tower: str = "text"
    kin: frozenset[str] = frozenset()
    is_book: bool = False
    numbers: Mapping[int, int] = field(default_factory=dict)

    @property
    def stars(self) -> int:
        """How many indices a tuple has."""
        return len(self.family.axes)

    @property
    def module(self) -> tuple[str, ...]:
        """The segments of the module that it belongs to."""
        return self.segments[:-1]

    @property
    def leaf(self) -> str:
        """The last segment."""
        return self.segments[-1]

    @property
    def copies(self) -> int:
        """How many stored tensors one index tuple stands for."""
        return self.family.copies

    def own(self, region: Region) -> Region:
        """A region in the unit's own numbering."""
        if not self.numbers or not region.arity:
            return region
        return region.mapped(0, lambda number: self.numbers.get(number, number))


class Part(NamedTuple):
    """Some tensors of a unit, in A's numbering."""

    unit: Unit
    region: Region

    @property
    def tensors(self) -> int:
        """How many stored tensors they are."""
        return len(self.region) * self.unit.copies

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return self.tensors * self.unit.family.kind.nbytes

    def names(self) -> Iterator[str]:
        """The names in the files, in the order of the region: of both sides of a match alike."""
        family, numbers = self.unit.family, self.unit.numbers
        for indices in self.region:
            own = (numbers.get(indices[0], indices[0]), *indices[1:]) if numbers else indices
            yield fill(family.pattern, own, family.axes)

    @property
    def own(self) -> Region:
        """The index tuples as they stand in the names."""
        return self.unit.own(self.region)

    @property
    def axes(self) -> tuple[IndexSet, ...]:
        """The indices of each star, as they stand in the names."""
        own = self.own
        widths = [axis.width for axis in self.unit.family.axes]
        return tuple(
            IndexSet.of(numbers, width) for numbers, width in zip(own.axes, widths, strict=True)
        )


class Match(NamedTuple):
    """Tensors of A and the tensors of B that they became; one side is empty where none are.

    `how` is on what evidence they were matched, `rule` the rule in words where one was used.
    `is_sure` is False where another reading of the headers is possible. `composed` says how n parts
    make m, "" for one to one.
    """

    a: tuple[Part, ...]
    b: tuple[Part, ...]
    how: str = ""
    rule: str = ""
    is_sure: bool = True
    composed: str = ""
    is_book: bool = False


class Side:
    """The units of one side, and what of each is not matched yet."""

    def __init__(self, units: list[Unit]) -> None:
        self.units = units
        self._left = {id(unit): unit.region for unit in units}

    def left(self, unit: Unit) -> Region:
        """The index tuples of a unit that are not matched yet."""
        return self._left[id(unit)]

    def take(self, unit: Unit, region: Region) -> Part:
        """These tuples are matched."""
        self._left[id(unit)] = self._left[id(unit)].minus(region)
        return Part(unit, region)

    def open(self) -> Iterator[Unit]:
        """Units of which something is left, without the books of packed weights."""
        return (unit for unit in self.units if not unit.is_book and len(self.left(unit)))

    def open_books(self) -> Iterator[Unit]:
        """The books of packed weights of which something is left."""
        return (unit for unit in self.units if unit.is_book and len(self.left(unit)))
