"""One reading of a source: its files, the headers read so far, the faults found."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan import sets as filesets
from ckptscan.checkpoint.values import FileFault
from ckptscan.config import CONFIG_NAMES, MAX_CONFIG, SIDE_NAMES, Config, read_config
from ckptscan.errors import SourceError
from ckptscan.header import Fault, Header, parse_header
from ckptscan.index import MAX_INDEX, Index, read_index
from ckptscan.names import natural_key
from ckptscan.sources import Fetching, Job, Source, read_head, read_small


class Reader:
    """A source and what was read of it; a header is read once."""

    def __init__(self, source: Source) -> None:
        self.source = source
        listed = sorted(source.files(), key=lambda entry: natural_key(entry.path))
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
        """Have everything ready that will be read: side files first, then headers.

        The indexes foretell how long the headers are, so that one request each will do.
        """
        weights = [path for path in filesets.weight_paths(self.entries) if self._is_readable(path)]
        if source.origin.is_single_file:
            weights = list(self.entries)
        indexes = filesets.index_paths(self.entries)
        sides = [Job(path, "whole", MAX_INDEX) for path in indexes] + [
            Job(path, "whole", MAX_CONFIG)
            for path in self.entries
            if path.rpartition("/")[2] in SIDE_NAMES
        ]
        sides = [job for job in sides if self._is_readable(job.path, job.nbytes)]
        ahead = [Job(path, "look") for path in weights if indexes]
        if indexes:
            for _ in source.fetch([*sides, *ahead]):
                pass
            sides = []
        expected = self._expected_heads()
        heads = [Job(path, "head", expected.get(path, 0)) for path in weights]
        for path in source.fetch([*sides, *heads]):
            if path in expected or path in weights:
                self.header(path)

    def _is_readable(self, path: str, most: int | None = None) -> bool:
        entry = self.entries[path]
        return not entry.problem and (most is None or entry.size <= most)

    def _expected_heads(self) -> dict[str, int]:
        """How many bytes of each shard an index makes us expect its header in."""
        expected = {}
        for path, index in self.indexes().items():
            folder = path.rpartition("/")[0]
            for shard in index.contents:
                full = f"{folder}/{shard}" if folder else shard
                if full in self.sizes:
                    expected[full] = index.expected_head(shard, self.sizes[full]) or 0
        return expected

    def header(self, path: str) -> Header:
        """The header of a weight file; raises SourceError."""
        if path not in self._headers:
            entry = self.entries[path]
            self._headers[path] = parse_header(read_head(self.source, entry), entry.size)
        return self._headers[path]

    def indexes(self) -> dict[str, Index]:
        """Every index of the source, by path; those that can't be used say why."""
        for path in filesets.index_paths(self.entries):
            if path not in self._indexes:
                raw = read_small(self.source, self.entries[path], MAX_INDEX)
                unread = Index(problem="can't be read")
                self._indexes[path] = read_index(raw) if raw is not None else unread
        return self._indexes

    def small(self, path: str) -> bytes | None:
        """A small file as a whole; None where it is absent, too large or can't be read."""
        entry = self.entries.get(path)
        try:
            return read_small(self.source, entry, MAX_CONFIG) if entry else None
        except SourceError:  # a pack lists large files and does not hold them
            return None

    def config(self, folder: str) -> Config:
        """The config files of a folder, read once; those that can't be used are faults."""
        if folder not in self._configs:
            self._configs[folder] = self._read_config(folder)
        return self._configs[folder]

    def _read_config(self, folder: str) -> Config:
        paths = {name: f"{folder}/{name}" if folder else name for name in CONFIG_NAMES}
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
