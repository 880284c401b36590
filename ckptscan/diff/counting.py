"""Numbered modules that one side lacks: layers cut out or put in, experts pruned."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from operator import ne

from ckptscan.diff.values import Change, LayerChange
from ckptscan.names import IndexSet
from ckptscan.structure.match import Alignment, Matching, Part, containers_of

Container = tuple[str, ...]


class _Numbers:
    """The numbers of one container of one side, and which of them have a partner."""

    def __init__(self) -> None:
        self.all: set[int] = set()
        self.matched: set[int] = set()
        self.makers: dict[int, set[int]] = defaultdict(set)
        self.partners: Counter[Container] = Counter()

    @property
    def lone(self) -> set[int]:
        """Numbers of which nothing has a partner."""
        return self.all - self.matched

    @property
    def is_open(self) -> bool:
        """Whether kept ones are like lone ones, and the lone ones the last: any may be meant."""
        if max(self.matched, default=-1) > min(self.lone, default=-1):
            return False
        kept = {frozenset(self.makers[number]) for number in self.matched}
        return any(frozenset(self.makers[number]) in kept for number in self.lone)


def missing_numbers(changes: Iterable[Change], matching: Matching) -> tuple[LayerChange, ...]:
    """The containers of A and B of which one has children that the other lacks."""
    ours: dict[Container, _Numbers] = defaultdict(_Numbers)
    theirs: dict[Container, _Numbers] = defaultdict(_Numbers)
    for change in changes:
        for side, parts, others in ((ours, change.a, change.b), (theirs, change.b, change.a)):
            for part in parts:
                _note(side, part, others)
    aligned = {one.container: one for one in matching.alignments}
    found = []
    for container, held in ours.items():
        partner = held.partners.most_common(1)
        if not partner or not theirs[partner[0][0]].partners:
            continue
        other = theirs[partner[0][0]]
        if other.partners.most_common(1)[0][0] != container or not (held.lone or other.lone):
            continue
        sides = ".".join(container), ".".join(partner[0][0])
        found.append(_missing(sides, held, other, aligned.get(container)))
    return tuple(found)


def _missing(
    containers: tuple[str, str], held: _Numbers, other: _Numbers, aligned: Alignment | None
) -> LayerChange:
    """What one container lacks, and on what evidence."""
    known = aligned.known if aligned else None
    return LayerChange(
        *containers,
        len(held.all),
        len(other.all),
        IndexSet.of(held.lone),
        IndexSet.of(other.lone),
        is_renumbered=aligned is not None and any(map(ne, aligned.pairs, aligned.pairs.values())),
        is_sure=aligned.is_sure if aligned else not (held.is_open or other.is_open),
        is_read=known is not None,
        copied=IndexSet.of(known.copies.values() if known else ()),
    )


def _note(side: dict[Container, _Numbers], part: Part, others: tuple[Part, ...]) -> None:
    """Note the numbers of a part in each container that it lies in."""
    if part.unit.is_book:
        return
    own = part.own
    for place, container in containers_of(part.unit):
        numbers = side[container]
        numbers.all |= own.axes[place]
        for number in own.axes[place]:
            numbers.makers[number].add(id(part.unit))
        if others:
            numbers.matched |= own.axes[place]
            for other in others:
                inner = dict(containers_of(other.unit))
                if place in inner:
                    numbers.partners[inner[place]] += part.tensors
