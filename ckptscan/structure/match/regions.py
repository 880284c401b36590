"""Which tensors of a family are meant: sets of index tuples, as products wherever they are some.

14,848 experts are a product of 58 and 256 indices; few sets have to be written out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from operator import itemgetter

Indices = tuple[int, ...]


@dataclass(frozen=True)
class Region:
    """A set of index tuples: the product of `axes`, or those of it that `tuples` lists."""

    axes: tuple[frozenset[int], ...]
    tuples: frozenset[Indices] | None = None

    @classmethod
    def of(cls, tuples: Iterable[Indices], arity: int) -> Region:
        """The region of these tuples; a product where they are one."""
        held = frozenset(tuples)
        axes = tuple(map(frozenset, zip(*held, strict=True))) if held else (frozenset(),) * arity
        if held and len(held) == prod(map(len, axes)):
            return cls(axes)
        return cls(axes, held)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        if self.tuples is not None:
            return len(self.tuples)
        return prod(map(len, self.axes))

    @property
    def arity(self) -> int:
        """How many indices a tuple has."""
        return len(self.axes)

    def __iter__(self) -> Iterator[Indices]:
        if not self._count:
            return iter(())
        return product(*map(sorted, self.axes)) if self.tuples is None else iter(self.sorted)

    @cached_property
    def sorted(self) -> tuple[Indices, ...]:
        """The tuples in order."""
        return tuple(sorted(self.tuples)) if self.tuples is not None else tuple(self)

    def meet(self, other: Region) -> Region:
        """The tuples of both."""
        if self is other or self == other:
            return self
        if not self._count or not other._count or len(self.axes) != len(other.axes):
            return nothing(self.arity)
        axes = tuple(one & two for one, two in zip(self.axes, other.axes, strict=True))
        if not all(axes):
            return nothing(self.arity)
        if self.tuples is None and other.tuples is None:
            return Region(axes)
        few, many = (self, other) if self._is_listed_before(other) else (other, self)
        return Region.of((one for one in few.tuples or () if one in many._members), self.arity)

    def _is_listed_before(self, other: Region) -> bool:
        """Whether this is the one to walk: listed, and not longer than a listed other."""
        return self.tuples is not None and (other.tuples is None or len(self) <= len(other))

    @property
    def _members(self) -> frozenset[Indices] | _Product:
        return self.tuples if self.tuples is not None else _Product(self.axes)

    def minus(self, part: Region) -> Region:
        """The tuples that are not in `part`, which lies within this region."""
        if not part:
            return self
        if len(part) == len(self):
            return nothing(self.arity)
        if self.tuples is None and part.tuples is None:
            unlike = [place for place in range(self.arity) if self.axes[place] != part.axes[place]]
            if len(unlike) == 1:
                (place,) = unlike
                rest = self.axes[place] - part.axes[place]
                return Region((*self.axes[:place], rest, *self.axes[place + 1 :]))
        return Region.of(self._listed - part._listed, self.arity)

    @property
    def _listed(self) -> frozenset[Indices]:
        return frozenset(product(*self.axes)) if self.tuples is None else self.tuples

    def mapped(self, place: int, number: Callable[[int], int]) -> Region:
        """The region with other numbers on one axis; different ones stay different."""
        if not self.arity:
            return self
        axes = (
            *self.axes[:place],
            frozenset(map(number, self.axes[place])),
            *self.axes[place + 1 :],
        )
        if self.tuples is None:
            return Region(axes)
        moved = ((*one[:place], number(one[place]), *one[place + 1 :]) for one in self.tuples)
        return Region(axes, frozenset(moved))

    def within(self, leading: Sequence[frozenset[int]]) -> int:
        """How many tuples begin with numbers of these axes."""
        if self.tuples is not None:
            return sum(all(map(frozenset.__contains__, leading, one)) for one in self.tuples)
        counts = [len(axis) for axis in self.axes]
        for place, numbers in enumerate(leading):
            counts[place] = len(self.axes[place] & numbers)
        return prod(counts)

    def tally(self, place: int, leading: Sequence[frozenset[int]]) -> Counter[int]:
        """How many of the tuples that begin with `leading` have each number on an axis."""
        if self.tuples is not None:
            if all(map(frozenset.issubset, self.axes, leading)):
                return Counter(one[place] for one in self.tuples)
            return Counter(
                one[place] for one in self.tuples if all(map(frozenset.__contains__, leading, one))
            )
        others = self.within(leading) // max(1, len(self.axes[place]))
        return Counter(dict.fromkeys(self.axes[place], others))

    def narrowed(self, place: int, numbers: frozenset[int]) -> Region:
        """The tuples with one of these numbers on an axis."""
        held = self.axes[place] & numbers
        if held == self.axes[place]:
            return self
        if not held:
            return nothing(self.arity)
        if self.tuples is None:
            return Region((*self.axes[:place], held, *self.axes[place + 1 :]))
        return Region.of((one for one in self.tuples if one[place] in held), self.arity)

    def products(self, most: int) -> list[Region]:
        """The region as disjoint products; itself alone where it would take more than `most`."""
        if self.tuples is None or not self._count:
            return [self]
        found = _products(self.tuples, self.arity)
        return [self] if len(found) > most else [Region(axes) for axes in found]

    def products_without(self, part: Region, most: int) -> list[Region]:
        """The products of `minus`; what no first index of `part` touches is not written out."""
        free = self.axes[0] - part.axes[0] if self.tuples is None and self.arity and part else ()
        if not free:
            return self.minus(part).products(most)
        others = self.narrowed(0, self.axes[0] - free).minus(part).products(most)
        found = [Region((free, *self.axes[1:])), *filter(len, others)]
        if len(found) > most or any(one.tuples is not None for one in found):
            return [self.minus(part)]
        return sorted(found, key=lambda one: min(one.axes[0]))

    def leading(self, arity: int) -> Region:
        """The region of the first so many indices."""
        if arity >= self.arity:
            return self
        if not self._count:
            return nothing(arity)
        if self.tuples is None:
            return Region(self.axes[:arity])
        return Region.of((one[:arity] for one in self.tuples), arity)


_Axes = tuple[frozenset[int], ...]


def _products(tuples: Collection[Indices], arity: int) -> list[_Axes]:
    """Disjoint products: first indices with the same rests are taken together."""
    if arity == 1:
        return [(frozenset(one[0] for one in tuples),)]
    first, *others = map(frozenset, zip(*tuples, strict=True))
    counts = Counter(map(itemgetter(0), tuples))
    full = frozenset(one for one in first if counts[one] == prod(map(len, others)))
    rests: dict[int, set[Indices]] = defaultdict(set)
    for number, *rest in (one for one in tuples if one[0] not in full):
        rests[number].add(tuple(rest))
    alike: dict[frozenset[Indices], set[int]] = defaultdict(set)
    for number in sorted(rests):
        alike[frozenset(rests[number])].add(number)
    found = [
        (frozenset(firsts), *axes)
        for held, firsts in alike.items()
        for axes in _products(held, arity - 1)
    ]
    # most have all rests: they need not be compared
    return sorted([*found, *([(full, *others)] if full else [])], key=lambda one: min(one[0]))


class _Product:
    """Membership in a product, without writing it out."""

    def __init__(self, axes: tuple[frozenset[int], ...]) -> None:
        self._axes = axes

    def __contains__(self, indices: Indices) -> bool:
        return all(index in axis for index, axis in zip(indices, self._axes, strict=True))


def nothing(arity: int) -> Region:
    """The empty region."""
    return Region((frozenset(),) * arity, frozenset())
