"""Where in the tree something lies: a tensor, a family, what a finding speaks of."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from ckptscan.browse.entries import Entry
from ckptscan.browse.rows import indices_of, is_within
from ckptscan.checks import Where
from ckptscan.names import IndexSet, fill, is_index
from ckptscan.structure import End, Node, Structure
from ckptscan.structure.summary import key_of


class Place(NamedTuple):
    """A node by the chain from the root, tensors that end there, or one of them by its row."""

    chain: tuple[Node, ...]
    end: End | None = None
    row: int | None = None

    def is_in(self, entry: Entry) -> bool:
        """Whether the way to this place leads over a line."""
        depth = len(entry.chain)
        if len(self.chain) < depth or self.chain[depth - 1] is not entry.node:
            return self.end is None and self._stands_on(entry)
        if entry.end is not None:
            is_held = self.row is None or entry.rows is None or self.row in entry.rows
            return entry.end is self.end and is_held
        if entry.nodes is None:
            return True
        return any(node is after for after in self.chain[depth : depth + 1] for node in entry.nodes)

    def is_at(self, entry: Entry) -> bool:
        """Whether the way ends at a line that it leads over."""
        if self.end is None:
            return self._stands_on(entry)
        return entry.end is self.end and (self.row is None or entry.tensors == 1)

    def _stands_on(self, entry: Entry) -> bool:
        """Whether its node is among those that share a line."""
        return any(node is self.chain[-1] for node in entry.chain)


class Atlas:
    """The places of a structure; its indexes are made when they are first asked for."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._names = structure.checkpoint.table.names
        self.root = Place((structure.tree,))

    @cached_property
    def _ends(self) -> dict[int, list[Place]]:
        """Where the tensors of each family end, by the family's number."""
        numbers = {key_of(family): number for number, family in enumerate(self._structure.families)}
        found: dict[int, list[Place]] = {}
        waiting = [self.root.chain]
        while waiting:
            chain = waiting.pop()
            for end in chain[-1].ends:
                found.setdefault(numbers[key_of(end.family)], []).append(Place(chain, end))
            waiting += [(*chain, child) for child in reversed(chain[-1].children)]
        return found

    @cached_property
    def _families(self) -> array[int]:
        """The number of each row's family."""
        numbers = array("I", bytes(4 * len(self._names)))
        for number, family in enumerate(self._structure.families):
            for row in family.rows:
                numbers[row] = number
        return numbers

    def of_row(self, row: int) -> Place:
        """Where one tensor lies."""
        number = self._families[row]
        family = self._structure.families[number]
        indices = indices_of(family, self._names[row])
        places = self._ends[number]
        held = (place for place in places if is_within(indices, place.chain, family))
        return next(held, places[0])._replace(row=row)

    def of_where(self, where: Where) -> Place | None:
        """Where a finding lies; of tensors that are not there, what should hold them."""
        if where.tensor is not None:
            return self._named(where.tensor)
        if where.pattern is None:
            return None
        first = _first_name(where.pattern, where.indices)
        place = self._named(first)
        return place if where.count == 1 else place._replace(row=None)

    def _named(self, name: str) -> Place:
        try:
            return self.of_row(self._names.index(name))
        except ValueError:
            return self._nearest(name)

    def _nearest(self, name: str) -> Place:
        """The deepest node that a name leads to."""
        chain = self.root.chain
        left = name.split(".")
        while left:
            steps = ((_taken(child, left), child) for child in chain[-1].children)
            taken, child = next((step for step in steps if step[0]), (0, None))
            if child is None:
                break
            chain, left = (*chain, child), left[taken:]
        return Place(chain)


def _first_name(pattern: str, indices: Sequence[str]) -> str:
    """The first name of a pattern with these indices; what stands before its star if they lie."""
    try:
        axes = [IndexSet.parse(text) for text in indices]
        return fill(pattern, [next(iter(axis)) for axis in axes], axes)
    except (ValueError, StopIteration):
        return pattern.partition(".*")[0]


def _taken(child: Node, segments: Sequence[str]) -> int:
    """How many of these segments lead to a child, 0 for none."""
    count = child.label.count(".") + 1
    text = ".".join(segments[:count])
    if child.repeat is None:
        return count if text == child.label else 0
    before, _, after = child.label.partition(f"({child.repeat})")
    if not (text.startswith(before) and text.endswith(after)):
        return 0
    index = text[len(before) : len(text) - len(after)]
    return count if is_index(index) and int(index) in child.repeat else 0
