"""What a lock holds: kinds of tensors, weight files with theirs, other files of a loader."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import NamedTuple

from ckptscan.names import IndexSet, fill


class Kind(NamedTuple):
    """What many tensors share: a pattern with a star for each index, dtype, shape."""

    pattern: str
    dtype: str
    shape: tuple[int, ...]


class Block(NamedTuple):
    """Tensors of one kind: the full product of the axes, one for each star of its pattern."""

    kind: int
    axes: tuple[IndexSet, ...]

    @property
    def tensors(self) -> int:
        """How many there are."""
        return prod(map(len, self.axes))


class WeightFile(NamedTuple):
    """A weight file: bytes, sha256 of its header with the 8 bytes before it, tensors.

    `digest` is the whole file's sha256 where it was known for free.
    """

    path: str
    size: int
    header: str
    digest: str | None
    blocks: tuple[Block, ...]


class SideFile(NamedTuple):
    """Another file that a loader may read; `sha256` is None where it was not read."""

    path: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Lock:
    """What a checkpoint is: `title` and `commit` say which, everything else what it holds."""

    title: str
    kind: str
    commit: str | None
    kinds: tuple[Kind, ...]
    files: tuple[WeightFile, ...]
    others: tuple[SideFile, ...]

    @property
    def count(self) -> int:
        """How many tensors all weight files hold."""
        return sum(block.tensors for file in self.files for block in file.blocks)

    def tensors(self, file: WeightFile) -> Iterator[tuple[str, Kind]]:
        """The names of a file's tensors, each with its kind."""
        for block in file.blocks:
            kind = self.kinds[block.kind]
            for indices in product(*block.axes):
                yield fill(kind.pattern, indices, block.axes), kind
