"""One reading of a source: its files, the headers read so far, the faults found."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan import sets as filesets
from ckptscan.checkpoint.values import FileFault
from ckptscan.config import CONFIG_NAMES, MAX_CONFIG, Config, read_config
from ckptscan.errors import SourceError
from ckptscan.header import Fault, Header, parse_header
from ckptscan.index import MAX_INDEX, Index, read_index
from ckptscan.names import natural_key
from ckptscan.sources import Source, read_head, read_small


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

    def header(self, path: str) -> Header:
        """The header of a weight file; raises SourceError."""
        if path not in self._headers:
            entry = self.entries[path]
            self._headers[path] = parse_header(read_head(self.source, entry), entry.size)
        return self._headers[path]

    def indexes(self) -> dict[str, Index]:
        """Every index of the source, by path; those that can't be used say why."""
        found = {}
        for path in filesets.index_paths(self.entries):
            raw = read_small(self.source, self.entries[path], MAX_INDEX)
            found[path] = read_index(raw) if raw is not None else Index(problem="can't be read")
        return found

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
