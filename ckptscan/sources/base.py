"""The seam between ckptscan and where bytes come from: files with sizes, and ranges of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ckptscan.errors import SourceUnreadable
from ckptscan.header import LENGTH, wanted
from ckptscan.paths import is_inside

DANGLING = "is a link to nothing"
UNSAFE = "is named like no file in a folder"  # of a list that is not ours: ../x, or with an escape
MAX_DEPTH = 3  # folders below the root: original/, a pipeline's components and their parts
MAX_FILES = 100_000


class Origin(NamedTuple):
    """What was asked for and what it turned out to be.

    `kind` is directory, file, index, hf-cache, pack, memory, hub, modelscope, http, s3, gs, az or
    object; `revision` and `commit` are None where the source knows of none. `named` is "file" or
    "index" where that was named in a source of another kind. `packed` is set for a pack alone: the
    kind of source that it was made from. What a pack holds are claims of whoever wrote it.
    `claims` are counts of parameters that the place itself tells, by where they stand.
    """

    spec: str
    kind: str
    title: str
    revision: str | None = None
    commit: str | None = None
    packed: str | None = None
    named: str | None = None
    claims: tuple[tuple[str, int], ...] = ()

    @property
    def target(self) -> str:
        """The path of the index or file that was named, where one was."""
        return self.title.rpartition("/")[2]

    @property
    def is_index(self) -> bool:
        """Whether an index was named, and the set that it describes is meant."""
        return "index" in (self.kind, self.packed, self.named)

    @property
    def is_single_file(self) -> bool:
        """Whether one file was named, whatever it is called."""
        return "file" in (self.kind, self.packed, self.named)


class FileEntry(NamedTuple):
    """One file of a source: posix path below its root, size in bytes.

    `digest` is the whole file's sha256 where it is known for free, else None. `problem` says why
    the file can't be read ("is a FIFO"), None where nothing speaks against it. `is_size_told` is
    False where nothing tells the size, and it is what the file's own header promises. `link` is
    where a symbolic link leads, as it is written; None for any other file. `identity` is equal for
    two entries of one and the same stored file, not written in between; None where nothing tells.
    """

    path: str
    size: int
    digest: str | None = None
    problem: str | None = None
    is_size_told: bool = True
    link: str | None = None
    identity: str | None = None


class Job(NamedTuple):
    """One thing to fetch: what of a file, and how many bytes that may be.

    `part` is "whole", for a file of at most `nbytes`; "head", for the beginning of a weight file
    that is expected to have `nbytes`, 0 where nothing tells; or "look", for what will be fetched
    next: where it lies is found out meanwhile.
    """

    path: str
    part: str
    nbytes: int = 0


@runtime_checkable
class Source(Protocol):
    """Files and ranges of bytes; the only way that the rest of ckptscan meets disk or net."""

    @property
    def origin(self) -> Origin:
        """What was asked for and what it turned out to be."""

    def files(self) -> Sequence[FileEntry]:
        """All files worth knowing, in no particular order."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends. Raises SourceError."""


class Range(NamedTuple):
    """Bytes of a file that are wanted."""

    path: str
    start: int
    length: int


@runtime_checkable
class Fetching(Source, Protocol):
    """A source that can have many files ready at once, sooner than one after the other."""

    def fetch(
        self, jobs: Sequence[Job], then: Callable[[str], Sequence[Job]] | None = None
    ) -> Iterator[str]:
        """Have files ready to be read; gives their paths as they come in. Raises SourceError.

        `then` may give further jobs for a path that has come in.
        """

    def read_all(self, ranges: Sequence[Range]) -> Iterator[tuple[Range, bytes]]:
        """Ranges with their bytes, as they come in; fewer bytes where a file ends.

        Raises SourceError.
        """


class Opened(Protocol):
    """One file that is open to be read in many pieces, by one thread at a time."""

    def fill(self, start: int, into: memoryview) -> int:
        """Read from there into a buffer; gives how many bytes came, fewer where the file ends.

        Raises SourceError.
        """

    def stamp(self) -> str:
        """What changes when somebody writes the file: size, time and place."""

    def close(self) -> None:
        """Let go of the file."""


@runtime_checkable
class Filling(Source, Protocol):
    """A source whose files can be kept open and read into a buffer, without a copy."""

    def open_file(self, path: str) -> Opened:
        """A file, open. Raises SourceError."""


@runtime_checkable
class Located(Source, Protocol):
    """A source whose files lie on this machine, where another library can open them."""

    def location(self, path: str) -> str:
        """The path of a file for the system; only of files that were listed without a problem."""


@runtime_checkable
class Timed(Source, Protocol):
    """A source whose reading has a time limit."""

    def renew(self) -> None:
        """Count the time limit from now."""


def is_listed(path: str) -> bool:
    """Whether files are looked for there: three folders deep, in none that is hidden."""
    folders = path.split("/")[:-1]
    return len(folders) <= MAX_DEPTH and not any(name.startswith(".") for name in folders)


def is_told(path: str) -> bool:
    """Whether a file of somebody's list is shown: it is listed, or its name is a fault."""
    return is_listed(path) or not is_inside(path)


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


def read_ranges(source: Source, ranges: Sequence[Range]) -> Iterator[tuple[Range, bytes]]:
    """Ranges with their bytes, side by side where the source can; in any order.

    Raises SourceError.
    """
    if isinstance(source, Fetching):
        yield from source.read_all(ranges)
    else:
        for one in ranges:
            yield one, source.read(*one)


def read_small(source: Source, entry: FileEntry, limit: int) -> bytes | None:
    """A whole file if it has at most `limit` bytes and can be read, else None."""
    if entry.problem or entry.size > limit:
        return None
    return source.read(entry.path, 0, entry.size)
