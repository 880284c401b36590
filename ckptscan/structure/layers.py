"""Containers of numbered children and the pattern in which their kinds follow each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ckptscan.names import IndexSet
from ckptscan.structure.layout import Run, describe, letter
from ckptscan.structure.tree import Node

RARE = 3  # a kind is rare where another has so many times as many children


@dataclass(frozen=True)
class LayerKind:
    """Children of a container that are alike: a letter, their indices, the node they share."""

    name: str
    indices: IndexSet
    node: Node

    @property
    def dtypes(self) -> dict[str, int]:
        """Bytes of all of them by dtype, in the order in which the dtypes are met."""
        held: dict[str, int] = {}
        waiting = [self.node]
        while waiting:
            node = waiting.pop()
            for end in node.ends:
                name = end.family.dtype.name
                held[name] = held.get(name, 0) + end.nbytes
            waiting += reversed(node.children)
        return held


@dataclass(frozen=True)
class Layers:
    """One container: its path, the indices of the blocks it lies in, and its children's kinds.

    `within` is empty at the top; for the experts of layers 3-60 it is `3-60`. `layout` tells how
    the kinds follow each other in the order of the indices.
    """

    container: str
    within: str
    count: int
    layout: tuple[Run, ...]
    kinds: tuple[LayerKind, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all children, as stored."""
        return sum(kind.node.nbytes for kind in self.kinds)

    @property
    def usual(self) -> LayerKind:
        """The kind of most children; the first of several."""
        return max(self.kinds, key=lambda kind: len(kind.indices))

    @property
    def odd(self) -> tuple[LayerKind, ...]:
        """Kinds that are rare beside the usual one and no part of a pattern that repeats."""
        repeated = {name for run in self.layout if len(run.letters) > 1 for name in run.letters}
        most = len(self.usual.indices)
        return tuple(
            kind
            for kind in self.kinds
            if kind.name not in repeated and RARE * len(kind.indices) <= most
        )


def find_layers(root: Node) -> list[Layers]:
    """All containers of a tree, outer ones before those they hold."""
    found: list[Layers] = []
    waiting = [(root, "")]
    while waiting:
        node, within = waiting.pop()
        found += _containers(node, within)
        for child in reversed(node.children):
            inner = ", ".join(filter(None, (within, str(child.repeat or ""))))
            waiting.append((child, inner))
    return found


def _containers(node: Node, within: str) -> Iterator[Layers]:
    by_path: dict[str, list[Node]] = {}
    for child in node.children:
        if child.repeat is not None:
            by_path.setdefault(child.path, []).append(child)
    for path, children in by_path.items():
        kinds = tuple(
            LayerKind(letter(number), child.repeat or IndexSet(()), child)
            for number, child in enumerate(children)
        )
        placed = sorted((index, kind.name) for kind in kinds for index in kind.indices)
        layout = describe([name for _, name in placed])
        is_plain = path[-2:-1] in ("", ".", "/")  # `layers.*`, not `expert_*`
        container = path[:-1].removesuffix(".") if is_plain else path
        yield Layers(container, within, len(placed), layout, kinds)
