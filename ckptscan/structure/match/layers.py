"""Layers of A -> layers of B, where some were cut out or put in and the others renumbered.

Each layer has a signature: the names below it and their logical shapes, whatever dtype they have.
Sequences of signatures are aligned like lines of text, but only where that explains more layers
than the numbers themselves do: a layer that keeps its number needs no explanation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.structure.match.units import renumbered
from ckptscan.structure.match.values import Unit

_MOST = 1000  # layers that are aligned; the deepest real model has 126

Container = tuple[str, ...]


class Alignment(NamedTuple):
    """Layers of one container that changed their numbers.

    `pairs` gives A's numbers -> B's of the layers that both have; `gone` are A's others, `new` B's
    others. `is_sure` is False where other layers, alike to these, could be the ones.
    """

    container: Container
    pairs: Mapping[int, int]
    gone: tuple[int, ...]
    new: tuple[int, ...]
    is_sure: bool


def align(a: Iterable[Unit], b: Iterable[Unit]) -> list[Alignment]:
    """The containers of both sides in which layers have other numbers."""
    known: dict[object, int] = {}
    ours, theirs = _signatures(a, known), _signatures(b, known)
    found = []
    for container in ours.keys() & theirs.keys():
        one, two = ours[container], theirs[container]
        if one == two or max(len(one), len(two)) > _MOST:
            continue
        aligned = _aligned(container, one, two)
        if aligned is not None:
            found.append(aligned)
    return sorted(found)


def given(container: Container, pairs: Mapping[int, int], a: set[int], b: set[int]) -> Alignment:
    """An alignment that somebody knows: from content, or from the user."""
    kept = {one: two for one, two in pairs.items() if one in a and two in b}
    gone = tuple(sorted(a - kept.keys()))
    return Alignment(container, kept, gone, tuple(sorted(b - set(kept.values()))), is_sure=True)


def apply(units: Sequence[Unit], alignments: Iterable[Alignment]) -> list[Unit]:
    """The units of B in A's numbering; layers that A does not have get numbers below 0."""
    own_of = {
        one.container: {**one.pairs, **{-1 - number: number for number in one.new}}
        for one in alignments
    }
    if not own_of:
        return list(units)
    return [
        renumbered(unit, own_of[container]) if (container := container_of(unit)) in own_of else unit
        for unit in units
    ]


def container_of(unit: Unit) -> Container:
    """The segments before the first index; empty where the first index is no segment."""
    for place, segment in enumerate(unit.segments):
        if segment == "*":
            return unit.segments[:place]
        if "*" in segment:
            break
    return ()


def containers_of(unit: Unit) -> Iterator[tuple[int, Container]]:
    """The number of each axis that is a segment of its own, with the segments before it."""
    reached = 0
    for place, segment in enumerate(unit.segments):
        if segment == "*":
            yield reached, unit.segments[:place]
        reached += segment.count("*") - segment.count("\\*")


def numbers_in(units: Iterable[Unit], container: Container) -> set[int]:
    """The numbers of a container's layers."""
    found: set[int] = set()
    for unit in units:
        if unit.stars and container_of(unit) == container:
            found |= unit.region.axes[0]
    return found


def _signatures(
    units: Iterable[Unit], known: dict[object, int]
) -> dict[Container, dict[int, tuple[int, ...]]]:
    """For each container the signature of each of its layers, as numbers that `known` keeps."""
    parts: dict[Container, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        container = container_of(unit)
        if not container or unit.is_book:
            continue
        below = unit.segments[len(container) + 1 :]
        each = len(unit.region) // len(unit.region.axes[0]) if unit.region.tuples is None else 0
        code = known.setdefault((below, unit.shape or unit.each, each), len(known))
        for number in unit.region.axes[0]:
            parts[container][number].append(code)
    return {
        container: {number: tuple(sorted(held[number])) for number in sorted(held)}
        for container, held in parts.items()
    }


def _aligned(
    container: Container, a: Mapping[int, tuple[int, ...]], b: Mapping[int, tuple[int, ...]]
) -> Alignment | None:
    """The alignment that explains more layers than their numbers do; None where none does."""
    from difflib import SequenceMatcher

    ours, theirs = list(a), list(b)
    if {*a.values()}.isdisjoint(b.values()):
        return None
    same = sum(b.get(number) == signature for number, signature in a.items())
    if same >= min(len(a), len(b)):
        return None
    matcher = SequenceMatcher(None, [*a.values()], [*b.values()], autojunk=False)
    blocks = matcher.get_matching_blocks()
    if sum(block.size for block in blocks) <= same:
        return None
    pairs = {
        ours[block.a + step]: theirs[block.b + step]
        for block in blocks
        for step in range(block.size)
    }
    if all(one == two for one, two in pairs.items()):
        return None
    pairs |= _changed(matcher.get_opcodes(), ours, theirs)
    taken = set(pairs.values())
    return Alignment(
        container,
        pairs,
        tuple(number for number in ours if number not in pairs),
        tuple(number for number in theirs if number not in taken),
        _is_sure(matcher.get_opcodes(), [*a.values()], [*b.values()]),
    )


def _changed(
    codes: Iterable[tuple[str, int, int, int, int]], a: Sequence[int], b: Sequence[int]
) -> dict[int, int]:
    """Layers that stand at the same place and differ: as many on either side."""
    found = {}
    for what, start, end, other, stop in codes:
        if what == "replace" and end - start == stop - other:
            found.update(zip(a[start:end], b[other:stop], strict=True))
    return found


def _is_sure(
    codes: Iterable[tuple[str, int, int, int, int]],
    a: Sequence[tuple[int, ...]],
    b: Sequence[tuple[int, ...]],
) -> bool:
    """Whether no other layers could be the ones that are gone or new."""
    for what, start, end, other, stop in codes:
        if what == "delete" and _slides(a, start, end):
            return False
        if what == "insert" and _slides(b, other, stop):
            return False
    return True


def _slides(layers: Sequence[tuple[int, ...]], start: int, end: int) -> bool:
    """Whether the block one further up or down is as good."""
    up = start > 0 and layers[start - 1] == layers[end - 1]
    return up or (end < len(layers) and layers[end] == layers[start])
