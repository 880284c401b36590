"""Which tensors of which changes are compared, where all would be too many.

Of files at hand some of each change; of files elsewhere those that lie together in some files, so
that few requests show many.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence, Sized
from functools import cached_property
from typing import NamedTuple

from ckptscan.content.pairs.sampling import BUDGET
from ckptscan.diff.pairs import linked, needs_matrices, reason_of
from ckptscan.diff.proof import Proofs, indices_in
from ckptscan.diff.rows import Linked, Rows, is_composed, whole_of
from ckptscan.diff.values import UNPROVED, Change, Diff
from ckptscan.structure.match import Part, Region, containers_of
from ckptscan.structure.match.regions import Indices, nothing

PACKED = "a header pack holds no tensors"
NUMBERS = "which layer or expert it was is open"
_PREPARED = 256  # packed weights of one pattern of which samples are read; more would take long
_LEAST = 4  # requests that a look into a file of both sides takes, the first of each to find it
_MANY = 64  # neighbours in a file that are looked at; windows are made of them
_Held = Mapping[int, frozenset[Indices]]


class Asked(NamedTuple):
    """A change whose content is open: the pairs that are compared, and what is left, and why.

    `nbytes` would settle what was left out as too much.
    """

    change: Change
    links: Sequence[Linked]
    left: Change | None = None
    reason: str = BUDGET
    nbytes: int = 0


def share(reach: int, *kinds: Sized) -> int:
    """What each kind of pairs that there is may take of so many requests, or blocks."""
    return reach // max(1, sum(map(bool, kinds)))


class Asking:
    """The changes of a diff whose content is open."""

    def __init__(self, diff: Diff, proofs: Proofs, seed: int) -> None:
        self._diff = diff
        self._proofs = proofs
        self._seed = seed
        self._rows = Rows(diff.a), Rows(diff.b)
        self._open = {
            number: change
            for number, change in enumerate(diff.changes)
            if change.a and change.b and change.evidence.content == UNPROVED
        }
        self._reasons = {number: self._reason(one) for number, one in self._open.items()}
        self._matrices = {number for number, one in self._open.items() if needs_matrices(one)}

    def _reason(self, change: Change) -> str:
        if any(side.checkpoint.origin.packed for side in (self._diff.a, self._diff.b)):
            return PACKED
        return reason_of(change, *(rows.table for rows in self._rows))

    @property
    def _counts(self) -> dict[int, int]:
        """How many tensors of each change can be compared."""
        return {
            number: len(whole_of(change).region)
            for number, change in self._open.items()
            if not self._reasons[number]
        }

    @property
    def files(self) -> int:
        """Files of A that are not proved to be one of B."""
        return len(self._diff.a.checkpoint.table.shards) - len(self._proofs.same_files)

    def everything(self) -> dict[int, Asked]:
        """All tensors of all open changes."""
        return self._asked({})

    def some(self, most: int = sys.maxsize) -> dict[int, Asked]:
        """At most so many tensors, some of each change; of packed ones not too many to prepare."""
        return self._asked(self._drawn(self._counts, most))

    def neighbours(self, requests: int) -> dict[int, Asked]:
        """The tensors of some files, of which so many requests can show something.

        Of packed weights some of each change, which lie where they do.
        """
        counts = self._counts
        packed = {number: counts[number] for number in counts if number in self._matrices}
        plain = counts.keys() - packed.keys()
        if sum(2 * counts[number] for number in plain) + _LEAST * sum(packed.values()) <= requests:
            return self.everything()
        each = share(requests, plain, packed)
        places = {number: self._places(self._open[number]) for number in sorted(plain)}
        rows = self._nearest([row for one in places.values() for row in one.values()], each)
        near = {
            number: frozenset(indices for indices, row in one.items() if row in rows)
            for number, one in places.items()
        }
        return self._asked({**near, **self._drawn(packed, each // _LEAST)})

    def _drawn(self, counts: Mapping[int, int], most: int) -> _Held:
        """At most so many tensors of these changes, some of each."""
        held, left = {}, most
        for place, number in enumerate(sorted(counts, key=counts.__getitem__)):
            least = min(counts[number], left // (len(counts) - place))
            taken = min(least, _PREPARED) if number in self._matrices else least
            left -= taken
            if taken < counts[number]:
                draw = random.Random(f"{self._seed}:{number}")
                region = whole_of(self._open[number]).region
                held[number] = frozenset(draw.sample(list(region), taken))
        return held

    def _nearest(self, rows: Sequence[int], requests: int) -> frozenset[int]:
        """Of some files the rows that lie nearest together."""
        table = self._diff.a.checkpoint.table
        by_shard: dict[int, list[int]] = {}
        for row in sorted(rows):
            by_shard.setdefault(table.shard_of(row), []).append(row)
        files = min(len(by_shard), max(1, requests // _LEAST))
        found: set[int] = set()
        for shard in random.Random(f"{self._seed}").sample(sorted(by_shard), files):
            held = sorted(by_shard[shard], key=table.starts.__getitem__)
            last = len(held) - 1
            first = min(
                range(max(1, len(held) - _MANY + 1)),
                key=lambda one: (
                    table.ends[held[min(one + _MANY - 1, last)]] - table.starts[held[one]]
                ),
            )
            found.update(held[first : first + _MANY])
        return frozenset(found)

    def _places(self, change: Change) -> dict[Indices, int]:
        """The open tensors of a change by their rows of A; only where each is one of B too."""
        if is_composed(change):
            return {}
        table, part = self._diff.a.checkpoint.table, change.a[0]
        rows = list(filter(self._unproved.__contains__, part.unit.family.rows))
        found = zip(indices_in(part, [table.names[row] for row in rows]), rows, strict=True)
        members = frozenset(part.region)
        return {indices: row for indices, row in found if indices in members}

    @cached_property
    def _unproved(self) -> frozenset[int]:
        """The rows of A in files that are not proved to be of B too."""
        shards, same = self._diff.a.checkpoint.table.shards, self._proofs.same_files
        return frozenset(
            row for number, one in enumerate(shards) if number not in same for row in one.rows
        )

    def _asked(self, held: _Held) -> dict[int, Asked]:
        heads = {one.head_dim for one in self._diff.a.attention if one.head_dim}
        head = heads.pop() if len(heads) == 1 else 0
        found = {}
        for number, change in self._open.items():
            if self._reasons[number]:
                found[number] = Asked(change, (), change, self._reasons[number])
                continue
            region = whole_of(change).region
            some = Region.of(held[number], region.arity) if number in held else region
            looked = narrowed(change, some)
            links = linked(looked, number, *self._rows, head) if len(some) else []
            if self._are_numbers_open(change):
                links = list(map(_doubted, links))
            rest = nothing(region.arity) if number not in held else region.minus(some)
            left = narrowed(change, rest) if len(rest) else None
            found[number] = Asked(looked, links, left, nbytes=self._nbytes(number, left))
        return found

    def _nbytes(self, number: int, left: Change | None) -> int:
        """Bytes of both sides that reading these tensors of a change takes."""
        if left is None:
            return 0
        if number not in self._matrices:
            return sum(part.nbytes for part in (*left.a, *left.b))
        sides = zip(self._rows, (left.a, left.b), strict=True)
        return sum(rows.size_of(part) for rows, parts in sides for part in parts)

    def _are_numbers_open(self, change: Change) -> bool:
        """Whether nothing tells which layer, or expert, of A a tensor of B belongs to."""
        opened = {one.a for one in self._diff.layers if not one.is_sure}
        held = {".".join(container) for _, container in containers_of(change.a[0].unit)}
        return not opened.isdisjoint(held)


def _doubted(one: Linked) -> Linked:
    """The same, other elements proving nothing."""
    if one.pair is None:
        return one
    return one._replace(pair=one.pair._replace(doubt=True), reason=NUMBERS)


def narrowed(change: Change, region: Region) -> Change:
    """The tensors of a change at some indices."""
    if region == whole_of(change).region:
        return change
    a, b = (tuple(_within(part, region) for part in side) for side in (change.a, change.b))
    return change._replace(a=a, b=b)


def _within(part: Part, region: Region) -> Part:
    if part.region.arity == region.arity:
        return part._replace(region=region)
    members = frozenset(region)
    held = [indices for indices in part.region if indices[: region.arity] in members]
    return part._replace(region=Region.of(held, part.region.arity))
