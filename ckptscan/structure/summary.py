"""Everything that inspect tells about a checkpoint, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint, no_collection
from ckptscan.structure.families import Family, find_families
from ckptscan.structure.layers import Layers, find_layers
from ckptscan.structure.tree import Node, build_tree


class DTypeUse(NamedTuple):
    """How much of a checkpoint is stored in one dtype."""

    dtype: str
    tensors: int
    numel: int
    nbytes: int


@dataclass(frozen=True)
class Structure:
    """A checkpoint's families, tree and layers.

    `rows` are the rows that were asked for, None for all; everything else speaks of these.
    """

    checkpoint: Checkpoint
    rows: tuple[int, ...] | None
    families: tuple[Family, ...]
    tree: Node
    layers: tuple[Layers, ...]
    dtypes: tuple[DTypeUse, ...]

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return self.tree.tensors

    @property
    def numel(self) -> int:
        """Elements of all tensors: the sum of the products of their shapes."""
        return self.tree.numel

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, as stored."""
        return self.tree.nbytes


def describe(checkpoint: Checkpoint, matches: Callable[[str], bool] | None = None) -> Structure:
    """The structure of a checkpoint, or of the tensors whose names match."""
    with no_collection():
        table = checkpoint.table
        rows = None
        if matches is not None:
            rows = tuple(row for row, name in enumerate(table.names) if matches(name))
        families = tuple(find_families(table, rows))
        tree = build_tree(families, checkpoint.origin.title)
        layers = tuple(find_layers(tree))
    return Structure(checkpoint, rows, families, tree, layers, _dtypes(families))


def _dtypes(families: tuple[Family, ...]) -> tuple[DTypeUse, ...]:
    """Use of each dtype, the one with most bytes first."""
    used: dict[str, DTypeUse] = {}
    for family in families:
        name = family.dtype.name
        before = used.get(name, DTypeUse(name, 0, 0, 0))
        used[name] = DTypeUse(
            name,
            before.tensors + family.count,
            before.numel + family.numel,
            before.nbytes + family.nbytes,
        )
    return tuple(sorted(used.values(), key=lambda use: (-use.nbytes, use.dtype)))
