"""One reading of a source: its files, the headers read so far, the faults found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ckptscan import sets as filesets
from ckptscan.checkpoint.common import Alone
from ckptscan.checkpoint.values import FileFault
from ckptscan.config import (
    CONFIG_NAMES,
    MAX_AFAR,
    MAX_CONFIG,
    SIDE_NAMES,
    TOKENIZERS,
    Config,
    read_config,
)
from ckptscan.errors import SourceError
from ckptscan.header import Fault, Header
from ckptscan.index import MAX_INDEX, Index, read_index
from ckptscan.names import natural_key
from ckptscan.sources import UNSAFE, Fetching, FileEntry, Job, Source, read_head, read_small

# is told the path and the first bytes of each weight file, up to its header's end
Witness = Callable[[str, bytes], None]


class Reader:
    """A source and what was read of it; a header is read once."""

    def __init__(
        self,
        source: Source,
        beside: Sequence[str] = (),
        witness: Witness | None = None,
        common: Alone | None = None,
    ) -> None:
        self.source = source
        self._witness = witness
        self._common = common or Alone()
        self._config_names = (*CONFIG_NAMES, *beside)
        self._side_names = (*SIDE_NAMES, *beside)
        listed = sorted(source.files(), key=lambda entry: natural_key(entry.path))
        self.unsafe = [entry.path for entry in listed if entry.problem == UNSAFE]
        listed = [entry for entry in listed if entry.problem != UNSAFE]
        self.entries = {entry.path: entry for entry in listed}
        self.sizes = {entry.path: entry.size for entry in listed}
        self.faults: list[FileFault] = []
        self._headers: dict[str, Header] = {}
        self._configs: dict[str, Config] = {}
        self._indexes: dict[str, Index] = {}
        for entry in listed:
            if not entry.is_size_told:
                message = "nothing tells the file's size; it is what the header promises"
                self.fault(entry.path, "size-not-told", message, "warning")
        if isinstance(source, Fetching):
            self._fetch(source)

    def _fetch(self, source: Fetching) -> None:
        """Have everything ready that will be read: indexes, the other side files, headers.

        Once all indexes are there, they foretell how long the headers are, so that one request
        each will do; meanwhile it is found out where the weight files lie.
        """
        single = source.origin.is_single_file
        paths = list(self.entries) if single else filesets.weight_paths(self.entries)
        weights = [path for path in paths if self._is_wanted(path)]
        indexes = self._sides(filesets.index_paths(self.entries), MAX_INDEX)
        configs = [path for path in self.entries if path.rpartition("/")[2] in self._side_names]
        pending = {job.path for job in indexes}

        def after(path: str) -> Sequence[Job]:
            if path not in pending:
                return ()
            pending.discard(path)
            return () if pending else self._heads(weights)

        begun = [Job(path, "look") for path in weights] if indexes else self._heads(weights)
        large = [path for path in configs if path.rpartition("/")[2] in TOKENIZERS]
        small = [path for path in configs if path not in large]
        sides = [*self._sides(small, MAX_CONFIG), *self._sides(large, MAX_AFAR)]
        jobs = [*indexes, *sides, *begun]
        known = set(weights)
        for path in source.fetch(jobs, after):
            if path in known:
                self.header(path)

    def _sides(self, paths: Sequence[str], most: int) -> list[Job]:
        """Jobs for small files, those left out that are not wanted or too large."""
        found = [self.entries[path] for path in paths if self._is_wanted(path)]
        return [Job(entry.path, "whole", most) for entry in found if entry.size <= most]

    def _heads(self, weights: Sequence[str]) -> list[Job]:
        """Jobs for the headers of weight files, of the length that their indexes foretell."""
        expected = {}
        for path, index in self.indexes().items():
            folder = path.rpartition("/")[0]
            for shard in index.contents:
                full = f"{folder}/{shard}" if folder else shard
                if full in self.sizes:
                    expected[full] = index.expected_head(shard, self.sizes[full]) or 0
        return [Job(path, "head", expected.get(path, 0)) for path in weights]

    def _is_wanted(self, path: str) -> bool:
        """Whether a file can be read, and no other reading has it."""
        entry = self.entries[path]
        return not entry.problem and not self._common.has(entry)

    def header(self, path: str) -> Header:
        """The header of a weight file; raises SourceError."""
        if path not in self._headers:
            entry = self.entries[path]
            self._headers[path] = self._common.find(entry, Header) or self._parsed(entry)
        return self._headers[path]

    def _parsed(self, entry: FileEntry) -> Header:
        head = read_head(self.source, entry)
        if self._witness is not None:
            self._witness(entry.path, head)
        header = self._common.parsed(head, entry.size)
        self._common.note(entry, header)
        return header

    def indexes(self) -> dict[str, Index]:
        """Every index of the source, by path; those that can't be used say why."""
        for path in filesets.index_paths(self.entries):
            if path not in self._indexes:
                entry = self.entries[path]
                self._indexes[path] = self._common.find(entry, Index) or self._index(entry)
        return self._indexes

    def _index(self, entry: FileEntry) -> Index:
        raw = read_small(self.source, entry, MAX_INDEX)
        index = read_index(raw) if raw is not None else Index(problem="can't be read")
        self._common.note(entry, index)
        return index

    def small(self, path: str) -> bytes | None:
        """A small file as a whole; None where it is absent, too large or can't be read."""
        entry = self.entries.get(path)
        is_large = path.rpartition("/")[2] in TOKENIZERS and isinstance(self.source, Fetching)
        most = MAX_AFAR if is_large else MAX_CONFIG
        if entry is None:
            return None
        known = self._common.find(entry, bytes)
        try:
            found = read_small(self.source, entry, most) if known is None else known
        except SourceError:  # a pack lists large files and does not hold them
            return None
        if found is not None:
            self._common.note(entry, found)
        return found

    def config(self, folder: str) -> Config:
        """The config files of a folder, read once; those that can't be used are faults."""
        if folder not in self._configs:
            self._configs[folder] = self._read_config(folder)
        return self._configs[folder]

    def _read_config(self, folder: str) -> Config:
        paths = {name: f"{folder}/{name}" if folder else name for name in self._config_names}
        present: Mapping[str, str] = {
            name: path for name, path in paths.items() if path in self.entries
        }
        config = read_config({name: self.small(path) for name, path in present.items()})
        for name, problem in config.problems.items():
            if name != "model_index.json":
                self.fault(present[name], "config-unusable", problem, "warning")
        return config

    def fault(self, file: str, kind: str, message: str, severity: str) -> None:
        """Note a fault of a file that its header does not tell."""
        self.faults.append(FileFault(file, Fault(kind, message, severity=severity)))
