"""The tree of a checkpoint: names nested by their segments, repeated blocks folded.

Children of a container (`layers.0`, `layers.1` ...) whose whole subtrees are alike, names, shapes
and dtypes, are one node with a set of indices: `(0-27): 28 x`. Works on families, not on tensors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from ckptscan.names import IndexSet, natural_key, split_stars, unescape
from ckptscan.structure.classes import ModuleClass
from ckptscan.structure.families import Family
from ckptscan.structure.roles import UNKNOWN, Role

MTP = "MTP"  # the label and path of the subtree that holds multi-token prediction
# names nested deeper are shown with their remaining segments as one label
MAX_DEPTH = 32
# beyond so many nodes, 0.5 GiB, nothing is nested further; 61 layers of 256 experts, all of another
# form, are 150,000
MOST_NODES = 300_000


class End(NamedTuple):
    """Tensors of a family that end at one node of the tree: which, how many, what they mean.

    `shape` is the logical shape of each, unpacked and joined from its parts, None where headers do
    not tell it. `each` is the parameters that each stands for: 0 for buffers and the book-keeping
    of quantization, None where headers do not tell it.
    """

    family: Family
    tensors: int
    role: Role = UNKNOWN
    shape: tuple[int, ...] | None = None
    each: int | None = 0

    @property
    def instances(self) -> int:
        """How many tensors there are once their parts are joined."""
        return self.tensors // self.family.copies

    @property
    def parameters(self) -> int:
        """Parameters of all of them, as far as known."""
        return self.instances * (self.each or 0)

    @property
    def unknown(self) -> int:
        """How many tensors hold a number of parameters that headers do not tell."""
        return self.instances if self.each is None else 0

    @property
    def numel(self) -> int:
        """Elements of all of them."""
        return self.tensors * self.family.kind.numel

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return self.tensors * self.family.kind.nbytes


@dataclass(frozen=True, slots=True)
class Node:
    """A module, a run of alike modules, or a tensor.

    `label` is the segment, for a run with its indices: `(0-27)`. `path` is the pattern from the
    root, after `component/` in a pipeline. `repeat` is the set of indices of a run, else None.
    `ends` are the tensors that end here, as a rule of one family, if any. `kind` is the class of
    module, where one can be told. `tensors`, `numel`, `nbytes`, `parameters` and `unknown` (see
    End) count these and all below, repeats included.
    """

    label: str
    path: str
    repeat: IndexSet | None
    children: tuple[Node, ...]
    ends: tuple[End, ...]
    tensors: int
    numel: int
    nbytes: int
    parameters: int = 0
    unknown: int = 0
    kind: ModuleClass | None = None

    @classmethod
    def of(
        cls,
        label: str,
        children: Sequence[Node] = (),
        ends: Sequence[End] = (),
        path: str = "",
        repeat: IndexSet | None = None,
        kind: ModuleClass | None = None,
    ) -> Node:
        """The node of these children and ends, with their sums."""
        tensors = numel = nbytes = parameters = unknown = 0
        parts: tuple[Node | End, ...] = (*children, *ends)
        for part in parts:  # one loop, where five sums would each ask all parts
            tensors += part.tensors
            numel += part.numel
            nbytes += part.nbytes
            parameters += part.parameters
            unknown += part.unknown
        sums = tensors, numel, nbytes, parameters, unknown
        return cls(label, path, repeat, tuple(children), tuple(ends), *sums, kind)

    def holding(
        self,
        children: Sequence[Node],
        ends: Sequence[End] | None = None,
        kind: ModuleClass | None = None,
    ) -> Node:
        """The same node with other children, and another class or other ends if given."""
        kept = self.ends if ends is None else ends
        return Node.of(self.label, children, kept, self.path, self.repeat, kind or self.kind)


class _Part(NamedTuple):
    """What of a family lies below a node: `times` instances of what is left of it.

    `axes` are the axes not yet walked; `tails` the index tuples left, where they are no product.
    """

    family: Family
    atoms: Sequence[str]
    times: int
    axes: tuple[IndexSet, ...]
    tails: tuple[tuple[int, ...], ...] | None

    @property
    def tensors(self) -> int:
        left = prod(map(len, self.axes)) if self.tails is None else len(self.tails)
        return self.times * left * self.family.copies


def build_tree(
    families: Iterable[Family],
    label: str = "",
    shown: Mapping[tuple[str, str], Sequence[str]] | None = None,
) -> Node:
    """The tree of these families; components of a pipeline are the root's children.

    `shown` gives the segments under which a component's pattern stands, where they are not those of
    its name.
    """
    components: dict[str, list[_Part]] = defaultdict(list)
    shown = shown or {}
    for family in families:
        segments = shown.get((family.component, family.pattern)) or family.pattern.split(".")
        part = _Part(family, segments, 1, family.axes, family.instances)
        components[family.component].append(part)
    children: list[Node] = []
    builder = _Builder()
    for component, parts in components.items():
        inner = list(builder.children(parts, 0, f"{component}/" if component else ""))
        children += [Node.of(component, inner, path=component)] if component else inner
    return Node.of(label, children)


class _Builder:
    """Nests names into nodes, as long as there are not too many."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def children(self, parts: Iterable[_Part], depth: int, path: str) -> Iterator[Node]:
        """The nodes at one depth below `path`, in natural order."""
        is_last = depth == MAX_DEPTH - 1 or self._left <= 0
        by_atom: dict[str, list[_Part]] = defaultdict(list)
        for part in parts:
            by_atom[".".join(part.atoms[depth:]) if is_last else part.atoms[depth]].append(part)
        for atom in sorted(by_atom, key=natural_key):
            pieces = split_stars(atom)
            below = f"{path}{atom}" if path[-1:] in ("", "/") else f"{path}.{atom}"
            for indices, inner in _runs(by_atom[atom], len(pieces) - 1):
                label = unescape(pieces[0]) + "".join(
                    f"({index}){unescape(piece)}"
                    for index, piece in zip(indices, pieces[1:], strict=True)
                )
                repeat = indices[0] if len(indices) == 1 else None
                deeper: list[_Part] = []
                ends: list[End] = []
                for part in inner:
                    if not is_last and depth + 1 < len(part.atoms):
                        deeper.append(part)
                    else:
                        ends.append(End(part.family, part.tensors))
                self._left -= 1
                children = list(self.children(deeper, depth + 1, below))
                yield Node.of(label, children, ends, below, repeat)


def _runs(parts: Sequence[_Part], stars: int) -> Iterator[tuple[tuple[IndexSet, ...], list[_Part]]]:
    """The parts below a segment with so many stars, by sets of indices that are alike below."""
    if stars == 0:
        yield (), list(parts)
    elif stars == 1:
        for indices, inner in _alike(parts):
            yield (indices,), inner
    else:
        apart: dict[tuple[IndexSet, ...], list[_Part]] = defaultdict(list)
        for part in parts:
            axes, walked = _walk_several(part, stars)
            apart[axes].append(walked)
        yield from apart.items()


def _alike(parts: Sequence[_Part]) -> Iterator[tuple[IndexSet, list[_Part]]]:
    """Indices of the next axis grouped by what lies below them; in the order of the first.

    `00` and `0` are not the same index.
    """
    below: dict[tuple[int, int], list[tuple[int, object]]] = defaultdict(list)
    for number, part in enumerate(parts):
        width = part.axes[0].width
        if part.tails is None:
            for index in part.axes[0]:
                below[index, _padding(index, width)].append((number, None))
        else:
            for index, tails in _by_first(part.tails).items():
                below[index, _padding(index, width)].append((number, tails))
    groups: dict[tuple[tuple[int, object], ...], list[int]] = defaultdict(list)
    for index, padding in sorted(below):
        groups[tuple(below[index, padding])].append(index)
    for signature, members in groups.items():
        width = parts[signature[0][0]].axes[0].width
        yield (
            IndexSet.of(members, width),
            [_walk(parts[number], len(members), tails) for number, tails in signature],
        )


def _padding(index: int, width: int) -> int:
    """The zeros before an index that is written in this width."""
    return max(0, width - len(str(index))) if width else 0


def _by_first(
    tails: Iterable[tuple[int, ...]],
) -> dict[int, tuple[tuple[int, ...], ...]]:
    found: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for first, *rest in tails:
        found[first].append(tuple(rest))
    return {first: tuple(rests) for first, rests in found.items()}


def _walk(part: _Part, times: int, tails: object) -> _Part:
    """The part one axis further down, below `times` indices that are alike."""
    left = tails if isinstance(tails, tuple) else None
    axes = part.axes[1:]
    if left is not None and len(left) == 1:
        (tail,) = left
        pairs = zip(tail, axes, strict=True)
        axes = tuple(IndexSet(((index, index),), axis.width) for index, axis in pairs)
        left = None
    elif left is not None and axes:
        axes = tuple(
            IndexSet.of((tail[place] for tail in left), axis.width)
            for place, axis in enumerate(axes)
        )
        if len(set(left)) == len(left) == prod(map(len, axes)):
            left = None
    return part._replace(times=part.times * times, axes=axes, tails=left)


def _walk_several(part: _Part, stars: int) -> tuple[tuple[IndexSet, ...], _Part]:
    """The part below a segment with several stars, which are not told apart."""
    axes, rest = part.axes[:stars], part.axes[stars:]
    if part.tails is None:
        return axes, part._replace(times=part.times * prod(map(len, axes)), axes=rest)
    tails = tuple(tail[stars:] for tail in part.tails)
    return axes, part._replace(axes=rest, tails=tails)
