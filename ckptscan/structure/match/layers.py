"""Layers of A -> layers of B, where some were cut out or put in and the others renumbered.

Each layer has a signature: the names below it and their logical shapes, whatever dtype they have.
Sequences of signatures are aligned like lines of text, but only where that explains more layers
than the numbers themselves do: a layer that keeps its number needs no explanation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from ckptscan.structure.match.units import renumbered
from ckptscan.structure.match.values import Unit

_MOST = 600  # layers that are aligned; the deepest real model has 126

Container = tuple[str, ...]


class Alignment(NamedTuple):
    """Layers of one container that changed their numbers.

    `pairs` gives A's numbers -> B's of the layers that both have; `gone` are A's others, `new` B's
    others. `is_sure` is False where other layers, alike to these, could be the ones. `known` is set
    where somebody told it.
    """

    container: Container
    pairs: Mapping[int, int]
    gone: tuple[int, ...]
    new: tuple[int, ...]
    is_sure: bool
    known: Known | None = None


class Known(NamedTuple):
    """What somebody knows of the layers of both sides: from content, or from the user.

    `pairs` gives A's numbers -> B's of the layers that both have, `copies` B's others -> those of A
    that they repeat.
    """

    pairs: Mapping[int, int]
    copies: Mapping[int, int] = MappingProxyType({})


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


def given(container: Container, known: Known, a: set[int], b: set[int]) -> Alignment:
    """An alignment that somebody knows."""
    kept = {one: two for one, two in known.pairs.items() if one in a and two in b}
    gone = tuple(sorted(a - kept.keys()))
    new = tuple(sorted(b - set(kept.values())))
    return Alignment(container, kept, gone, new, is_sure=True, known=known)


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
    ours, theirs = list(a), list(b)
    if {*a.values()}.isdisjoint(b.values()):
        return None
    same = sum(b.get(number) == signature for number, signature in a.items())
    if same >= min(len(a), len(b)):
        return None
    one, two = [*a.values()], [*b.values()]
    steps = longest_common(one, two)
    if len(steps) <= same:
        return None
    kept = {ours[left]: theirs[right] for left, right in steps}
    if all(left == right for left, right in kept.items()):
        return None
    gaps = list(_gaps(steps, len(one), len(two)))
    pairs = dict(kept)
    for mine, other in gaps:
        if len(mine) == len(other):  # at the same place, and changed
            pairs.update(zip((ours[at] for at in mine), (theirs[at] for at in other), strict=True))
    taken = set(pairs.values())
    is_open = any(
        (not other and _slides(one, mine)) or (not mine and _slides(two, other))
        for mine, other in gaps
    )
    return Alignment(
        container,
        pairs,
        tuple(number for number in ours if number not in pairs),
        tuple(number for number in theirs if number not in taken),
        not is_open,
    )


def longest_common(one: Sequence[object], two: Sequence[object]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence; what is alike at both ends goes first."""
    start, most = 0, min(len(one), len(two))
    while start < most and one[start] == two[start]:
        start += 1
    end = 0
    while end < most - start and one[-1 - end] == two[-1 - end]:
        end += 1
    left, right = one[start : len(one) - end], two[start : len(two) - end]
    lengths = [[0] * (len(right) + 1)]
    for mine in reversed(left):
        below, row = lengths[-1], [0] * (len(right) + 1)
        for at in range(len(right) - 1, -1, -1):
            row[at] = below[at + 1] + 1 if mine == right[at] else max(below[at], row[at + 1])
        lengths.append(row)
    lengths.reverse()
    found = [(at, at) for at in range(start)]
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            found.append((start + i, start + j))
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            i += 1
        else:
            j += 1
    return found + [(len(one) - at, len(two) - at) for at in range(end, 0, -1)]


def _gaps(
    steps: Sequence[tuple[int, int]], ours: int, theirs: int
) -> Iterator[tuple[range, range]]:
    """What lies between common layers, on either side."""
    left = right = 0
    for one, two in (*steps, (ours, theirs)):
        if one > left or two > right:
            yield range(left, one), range(right, two)
        left, right = one + 1, two + 1


def _slides(layers: Sequence[tuple[int, ...]], block: range) -> bool:
    """Whether the block one further up or down is as good."""
    start, end = block.start, block.stop
    if start > 0 and layers[start - 1] == layers[end - 1]:
        return True
    return end < len(layers) and layers[end] == layers[start]
