"""What loading gives: a Checkpoint, its sets, its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ckptscan.config import Config
from ckptscan.header import Fault
from ckptscan.index import Index
from ckptscan.sources import FileEntry, Origin
from ckptscan.table import TensorTable


class FileFault(NamedTuple):
    """A fault and the file it lies in."""

    file: str
    fault: Fault


class SetSummary(NamedTuple):
    """One set of a source; `tensors` and `nbytes` are None where a file of it can't be read.

    `within` is the set of components that this one is part of, or "".
    """

    name: str
    files: int
    tensors: int | None
    nbytes: int | None
    chosen: bool
    within: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """What a source holds, from headers alone.

    `table` holds the tensors of the chosen set; `sets` names all sets, `choice` says why this one.
    `files` lists everything found, `faults` what is wrong or odd, in the order of the files.
    `missing` are promised files that are not there; `gaps` say in words why tensors may be absent
    from the table, if they may. `parts` tells, for a component whose files repeat the same names
    with cut shapes (tensor parallel), how many files they are. `configs` are those of the
    components of a pipeline. `indexes` are all indexes of the source by path, `used` those of the
    chosen set.
    """

    origin: Origin
    table: TensorTable
    sets: tuple[SetSummary, ...]
    choice: str
    files: tuple[FileEntry, ...]
    faults: tuple[FileFault, ...]
    missing: tuple[str, ...]
    gaps: tuple[str, ...]
    index: Index | None
    config: Config
    parts: Mapping[str, int]
    configs: Mapping[str, Config] = field(default_factory=dict)
    indexes: Mapping[str, Index] = field(default_factory=dict)
    used: tuple[str, ...] = ()

    def config_of(self, component: str) -> Config:
        """The config of a component of a pipeline, or that of the whole."""
        return self.configs.get(component, self.config)

    @property
    def incomplete(self) -> bool:
        """Whether tensors may be absent from the table."""
        return bool(self.gaps)

    @property
    def numel(self) -> int:
        """Elements of all tensors: the sum of the products of their shapes."""
        sizes = [kind.numel for kind in self.table.kinds]
        return sum(map(sizes.__getitem__, self.table.codes))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, as stored."""
        return sum(shard.data_size for shard in self.table.shards)

    @property
    def is_sound(self) -> bool:
        """Whether every file is there and the reference library opens it."""
        return all(fault.severity != "error" for _, fault in self.faults)
