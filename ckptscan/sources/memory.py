"""A source held in memory: for tests, packs, and bytes that a program has at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ckptscan.errors import SourceUnreadable
from ckptscan.sources.base import FileEntry, Origin


class MemorySource:
    """Files as bytes; records every range that is read, so that a test can prove what was.

    `entries` lists files of which only the beginning is held, or nothing; asking such a file for
    more raises SourceUnreadable, for the bytes are nowhere.
    """

    def __init__(
        self,
        held: Mapping[str, bytes],
        entries: Iterable[FileEntry] = (),
        origin: Origin | None = None,
    ) -> None:
        self._held = dict(held)
        whole = {path: FileEntry(path, len(data)) for path, data in self._held.items()}
        self._entries = whole | {entry.path: entry for entry in entries}
        self._origin = origin or Origin("memory", "memory", "memory")
        self.ranges: list[tuple[str, int, int]] = []

    @property
    def origin(self) -> Origin:
        """What was asked for and what it turned out to be."""
        return self._origin

    def files(self) -> Sequence[FileEntry]:
        """All files, also those of which no byte is held."""
        return list(self._entries.values())

    def held(self, path: str) -> bytes | None:
        """All that is held of a file, None where nothing is; reads no range."""
        return self._held.get(path)

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends."""
        self.ranges.append((path, start, length))
        held = self._held.get(path, b"")
        end = min(start + length, self._entries[path].size if path in self._entries else 0)
        if end > len(held):
            raise SourceUnreadable(
                f"{path}: {end:,} bytes are asked for, {len(held):,} are held here",
                "a header pack holds headers only",
            )
        return held[start:end]
