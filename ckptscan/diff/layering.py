"""Layers of A beside those of B: which became which, and how many tensors of each changed how."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.diff.groups import ORDER
from ckptscan.diff.values import IDENTICAL, MOVED, RENAMED, UNPROVED, Change, Diff
from ckptscan.structure import Layers, Structure
from ckptscan.structure.match import Part

CUT, INSERTED, CHANGED, KEPT = "cut out", "inserted", "changed", "no change known"
_KEEPS = frozenset({IDENTICAL, UNPROVED, MOVED, RENAMED})  # a layer that moved is no other layer


class Pair(NamedTuple):
    """A layer of A and the layer of B that it became; None on a side that lacks it.

    `changes` counts its tensors by kind of change, the gravest first.
    """

    a: int | None
    b: int | None
    changes: Mapping[str, int]

    @property
    def state(self) -> str:
        """CUT, INSERTED, CHANGED or KEPT."""
        if self.a is None or self.b is None:
            return CUT if self.b is None else INSERTED
        return KEPT if _KEEPS.issuperset(self.changes) else CHANGED


class Beside(NamedTuple):
    """A container of A, the one of B that it became, and their layers in order."""

    a: Layers | None
    b: Layers | None
    pairs: tuple[Pair, ...]


class _Seen:
    """Counts of changed tensors by container and layer of either side, and what became what."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.a: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self.b: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
        self.links: dict[str, dict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        for change in changes:
            for parts, counts in ((change.a, self.a), (change.b, self.b)):
                for part in parts:
                    _count(part, change.kind, counts)
            self._link(change)

    def _link(self, change: Change) -> None:
        for before in change.a:
            for after in change.b:
                mine, other = container_of(before), container_of(after)
                if mine and other:
                    both = before.region.axes[0] & after.region.axes[0]
                    self.links[mine][other].update(
                        (_own(before, number), _own(after, number)) for number in both
                    )

    def partner(self, container: str) -> tuple[str, dict[int, int]]:
        """The container of B that holds most layers of one of A, and which became which."""
        found = self.links.get(container, {})
        best = max(found, key=lambda name: len(found[name]), default="")
        return best, found.get(best, {})


def container_of(part: Part) -> str:
    """The container that the first index of a part's names stands in; empty without an index."""
    prefix, star, _ = f".{part.unit.family.pattern}".partition(".*")
    if not star or not part.region.arity or not prefix:
        return ""
    component = part.unit.family.component
    return f"{component}/{prefix[1:]}" if component else prefix[1:]


def _own(part: Part, number: int) -> int:
    return part.unit.numbers.get(number, number)


def _count(part: Part, kind: str, counts: dict[tuple[str, int], Counter[str]]) -> None:
    container = container_of(part)
    if container:
        for number, tensors in part.own.tally(0, ()).items():
            counts[container, number][kind] += tensors * part.unit.copies


def layers_beside(diff: Diff) -> list[Beside]:
    """The outer containers of both sides, those of A first; experts within layers are left out."""
    seen = _Seen(diff.changes)
    ours, theirs = _containers(diff.a), _containers(diff.b)
    found = []
    for name, layers in ours.items():
        other, became = seen.partner(name)
        pairs = _paired(layers, theirs.get(other), became)
        counted = (_counted(pair, name, other, seen) for pair in pairs)
        found.append(Beside(layers, theirs.pop(other, None), tuple(counted)))
    for name, layers in theirs.items():
        pairs = _paired(None, layers, {})
        found.append(Beside(None, layers, tuple(_counted(one, "", name, seen) for one in pairs)))
    return found


def _containers(structure: Structure) -> dict[str, Layers]:
    return {one.container: one for one in structure.layers if not one.within and one.count > 1}


def _numbers(layers: Layers | None) -> list[int]:
    return sorted(index for kind in layers.kinds for index in kind.indices) if layers else []


def _paired(
    a: Layers | None, b: Layers | None, became: Mapping[int, int]
) -> Iterator[tuple[int | None, int | None]]:
    """Each layer of A with its own of B; a new one of B before the one that follows it there."""
    known = set(_numbers(b))
    kept = {number: other for number, other in became.items() if other in known}
    new = sorted(known.difference(kept.values()), reverse=True)
    for number in _numbers(a):
        other = kept.get(number)
        while other is not None and new and new[-1] < other:
            yield None, new.pop()
        yield number, other
    yield from ((None, number) for number in reversed(new))


def _counted(pair: tuple[int | None, int | None], mine: str, other: str, seen: _Seen) -> Pair:
    """A pair with the changes of both its layers; what both have is counted as it is in A."""
    a, b = pair
    before = seen.a.get((mine, a), Counter()) if a is not None else Counter()
    after = seen.b.get((other, b), Counter()) if b is not None else Counter()
    both = {kind: before[kind] or after[kind] for kind in (*ORDER, IDENTICAL, UNPROVED)}
    return Pair(a, b, {kind: count for kind, count in both.items() if count})
