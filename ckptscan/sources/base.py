"""The seam between ckptscan and where bytes come from: files with sizes, and ranges of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ckptscan.errors import SourceUnreadable
from ckptscan.header import LENGTH, wanted

DANGLING = "is a link to nothing"


class Origin(NamedTuple):
    """What was asked for and what it turned out to be.

    `kind` is directory, file, index, hf-cache, pack or memory; `revision` and `commit` are None
    where the source knows of none. `packed` is set for a pack alone: the kind of source that it was
    made from. What a pack holds are claims of whoever wrote it.
    """

    spec: str
    kind: str
    title: str
    revision: str | None = None
    commit: str | None = None
    packed: str | None = None

    @property
    def is_index(self) -> bool:
        """Whether an index was named, and the set that it describes is meant."""
        return "index" in (self.kind, self.packed)

    @property
    def is_single_file(self) -> bool:
        """Whether one file was named, whatever it is called."""
        return "file" in (self.kind, self.packed)


class FileEntry(NamedTuple):
    """One file of a source: posix path below its root, size in bytes.

    `digest` is the whole file's sha256 where it is known for free, else None. `problem` says why
    the file can't be read ("is a FIFO"), None where nothing speaks against it.
    """

    path: str
    size: int
    digest: str | None = None
    problem: str | None = None


class Source(Protocol):
    """Files and ranges of bytes; the only way that the rest of ckptscan meets disk or net."""

    @property
    def origin(self) -> Origin:
        """What was asked for and what it turned out to be."""

    def files(self) -> Sequence[FileEntry]:
        """All files worth knowing, in no particular order."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends. Raises SourceError."""


def read_head(source: Source, entry: FileEntry) -> bytes:
    """The bytes at the start of a weight file that hold its header; see `header.wanted`.

    Never asks for more than 8 + N bytes, with N checked against the file's size and the limit of
    the format first. Raises SourceError.
    """
    if entry.problem:
        raise SourceUnreadable(
            f"{entry.path}: {entry.problem}", "only regular files that can be opened are read"
        )
    first = source.read(entry.path, 0, LENGTH)
    rest = wanted(first, entry.size) - len(first)
    return first + source.read(entry.path, len(first), rest) if rest > 0 else first


def read_small(source: Source, entry: FileEntry, limit: int) -> bytes | None:
    """A whole file if it has at most `limit` bytes and can be read, else None."""
    if entry.problem or entry.size > limit:
        return None
    return source.read(entry.path, 0, entry.size)
