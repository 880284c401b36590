"""Numbered siblings of a tree and what tells one from another; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import NamedTuple

from ckptscan.checks.values import Where
from ckptscan.late import Late
from ckptscan.names import IndexSet, split_stars
from ckptscan.structure import End, Node, Structure

Outer = tuple[IndexSet, ...]
Tails = tuple[tuple[int, ...], ...]
MISSING, EXTRA, SHAPE, DTYPE = "missing", "extra", "shape", "dtype"
# `experts.*`, `expert_*`, `local_experts.*`
EXPERTS = Late(r"(?i)experts?[._]\*$")
# norms at the entry of a block: what they normalise is not normalised at the exit
ENTRY_NORM = Late(
    r"(?i)(input_layernorm|attn_norm|attention_norm|ln_1|operator_norm|^norm$|pre_?norm|norm1)"
)
_MOST_TAILS = 1 << 17  # instances below one child that are told apart; DeepSeek-V3 has 256


class Siblings(NamedTuple):
    """The children of one container: a node for each kind, `path` with `*` for their own index.

    `outer` are the indices of the blocks that the container lies in, outermost first.
    """

    path: str
    outer: Outer
    kinds: tuple[Node, ...]

    @property
    def is_experts(self) -> bool:
        """Whether these are the experts of a layer."""
        return EXPERTS.search(self.path[-64:]) is not None

    @property
    def placed(self) -> list[tuple[int, int]]:
        """Each index with the number of its kind, in order."""
        return sorted((i, number) for number, kind in enumerate(self.kinds) for i in indices(kind))


class Held(NamedTuple):
    """Tensors below a child that share a name within it: their end, and the indices in between."""

    end: End
    axes: Outer

    @property
    def times(self) -> int:
        """How many there are in one child."""
        return prod(map(len, self.axes))

    def tails(self) -> Iterator[tuple[int, ...]]:
        """The index tuples in between."""
        return product(*self.axes)


class Difference(NamedTuple):
    """What one child has otherwise than another; `tails` are the indices below the child.

    `expected` is the end in the other child, None where it has none; `seen` that in the odd one.
    `whole` tells that it concerns all instances below the child.
    """

    what: str
    suffix: str
    tails: Tails
    expected: End | None
    seen: End | None
    whole: bool

    @property
    def end(self) -> End:
        """The end that tells role and family."""
        found = self.expected or self.seen
        assert found is not None
        return found

    @property
    def role(self) -> str:
        """What the tensor is for."""
        return self.end.role.name

    def where(self, outer: Outer, own: IndexSet) -> Where:
        """The place of these tensors in children `own` of containers in blocks `outer`."""
        width = len(self.tails[0]) if self.tails else 0
        inner = tuple(IndexSet.of(tail[axis] for tail in self.tails) for axis in range(width))
        count = prod(map(len, (*outer, own))) * len(self.tails)
        return place(self.end, (*outer, own, *inner), count)


def place(end: End, axes: Outer, count: int | None = None) -> Where:
    """The place of tensors of an end's family at these indices, one set for each star."""
    pattern = end.family.pattern
    stars = len(split_stars(pattern)) - 1
    held = tuple(map(str, axes)) if stars == len(axes) else ()
    return Where(
        pattern=pattern, indices=held, count=prod(map(len, axes)) if count is None else count
    )


def indices(node: Node) -> IndexSet:
    """The indices that a run stands for."""
    return node.repeat or IndexSet(())


def all_siblings(structure: Structure) -> Iterator[Siblings]:
    """The containers of a tree, outer ones before those they hold."""
    waiting: list[tuple[Node, Outer]] = [(structure.tree, ())]
    while waiting:
        node, outer = waiting.pop()
        by_path: dict[str, list[Node]] = {}
        for child in node.children:
            if child.repeat is not None:
                by_path.setdefault(child.path, []).append(child)
        for path, kinds in by_path.items():
            yield Siblings(path, outer, tuple(kinds))
        waiting += [
            (child, outer if child.repeat is None else (*outer, child.repeat))
            for child in reversed(node.children)
        ]


def contents(node: Node) -> dict[str, list[Held]]:
    """The tensors below one child, by their names within it."""
    found: dict[str, list[Held]] = {}
    start = len(node.path)
    waiting: list[tuple[Node, Outer]] = [(node, ())]
    while waiting:
        above, axes = waiting.pop()
        for end in above.ends:
            found.setdefault(above.path[start:].lstrip("."), []).append(Held(end, axes))
        waiting += [
            (child, axes if child.repeat is None else (*axes, child.repeat))
            for child in above.children
        ]
    return found


def differences(odd: Node, other: Node) -> list[Difference]:
    """What `odd` has otherwise than `other`, in natural order of the names within them."""
    mine, theirs = contents(odd), contents(other)
    found: list[Difference] = []
    for suffix in dict.fromkeys((*theirs, *mine)):
        found += _compared(suffix, mine.get(suffix, ()), theirs.get(suffix, ()))
    return found


def _compared(suffix: str, mine: Sequence[Held], theirs: Sequence[Held]) -> Iterator[Difference]:
    if max(_size(mine), _size(theirs)) > _MOST_TAILS:
        return
    seen, expected = _by_tail(mine), _by_tail(theirs)
    groups: dict[tuple[str, int, int], list[tuple[int, ...]]] = {}
    ends: dict[tuple[str, int, int], tuple[End | None, End | None]] = {}
    for tail in sorted({*seen, *expected}):
        own, other = seen.get(tail), expected.get(tail)
        what = _what(own, other)
        if what:
            key = (what, id(other and other.family), id(own and own.family))
            groups.setdefault(key, []).append(tail)
            ends[key] = other, own
    for key, tails in groups.items():
        whole = len(tails) >= len(expected if expected else seen)
        yield Difference(key[0], suffix, tuple(tails), *ends[key], whole)


def _size(held: Sequence[Held]) -> int:
    return sum(one.times for one in held)


def _by_tail(held: Sequence[Held]) -> Mapping[tuple[int, ...], End]:
    return {tail: one.end for one in held for tail in one.tails()}


def _what(own: End | None, other: End | None) -> str:
    if own is None or other is None:
        return MISSING if own is None else EXTRA
    mine, theirs = own.family.kind, other.family.kind
    if mine.shape != theirs.shape:
        return SHAPE
    return DTYPE if mine.dtype != theirs.dtype else ""


def shown(end: End | None) -> str:
    """A tensor as a finding names it: `BF16 (4096, 4096)`."""
    if end is None:
        return "absent"
    return f"{end.family.dtype.name} ({', '.join(map(str, end.family.shape))})"
