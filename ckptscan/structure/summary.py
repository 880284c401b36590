"""Everything that inspect tells about a checkpoint, as one value."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint, no_collection
from ckptscan.structure.families import Family, find_families
from ckptscan.structure.layers import Layers, find_layers
from ckptscan.structure.tree import Node, build_tree
from ckptscan.table import TensorTable


class DTypeUse(NamedTuple):
    """How much of a checkpoint is stored in one dtype."""

    dtype: str
    tensors: int
    numel: int
    nbytes: int


class FileUse(NamedTuple):
    """One weight file: sizes in bytes, and how much of what was asked for lies in it."""

    path: str
    size: int
    header_size: int
    tensors: int
    nbytes: int
    digest: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Structure:
    """A checkpoint's families, tree and layers.

    `rows` are the rows that were asked for, None for all; everything else speaks of these, and
    `files` are those that hold one of them.
    """

    checkpoint: Checkpoint
    rows: tuple[int, ...] | None
    families: tuple[Family, ...]
    tree: Node
    layers: tuple[Layers, ...]
    dtypes: tuple[DTypeUse, ...]
    files: tuple[FileUse, ...]

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
        files = tuple(_files(table, rows))
    return Structure(checkpoint, rows, families, tree, layers, _dtypes(families), files)


def _files(table: TensorTable, rows: Sequence[int] | None) -> Iterator[FileUse]:
    """The files of a table; of some of its rows, those that hold one."""
    for shard in table.shards:
        tensors, nbytes = len(shard.rows), shard.data_size
        if rows is not None:
            first, last = (bisect_left(rows, end) for end in (shard.rows.start, shard.rows.stop))
            tensors = last - first
            nbytes = sum(table.kinds[table.codes[row]].nbytes for row in rows[first:last])
        if tensors or rows is None:
            yield FileUse(
                shard.path,
                shard.file_size,
                shard.header_size,
                tensors,
                nbytes,
                shard.digest,
                shard.metadata,
            )


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
