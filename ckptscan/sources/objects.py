"""Any object of a program's own that has `list()`, `size(path)` and `read(path, start, length)`.

Such an object is called from many threads at once, and no answer of it is believed unseen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol, TypeVar, runtime_checkable

from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
)
from ckptscan.paths import is_inside
from ckptscan.sources.access import Access, Deadline
from ckptscan.sources.base import MAX_FILES, UNSAFE, FileEntry, Origin, is_told
from ckptscan.sources.crew import alone, together
from ckptscan.sources.pieces import Pieces
from ckptscan.sources.ranged import UNKNOWN, Beginning, RangedSource

_LARGEST = 1 << 62  # bytes of a file that we believe
_SIZED = (".safetensors", ".json")  # whose size is asked for, where the list does not tell it
# what an object that reads files, buckets or archives may raise; not what is a fault in our call
_FAILURES = (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError)
_NO_FILES = "is its path among those that list() gives?"

T = TypeVar("T")


@runtime_checkable
class Store(Protocol):
    """What a program must offer so that its files can be read as a checkpoint.

    `list` gives paths, or pairs of path and size, or things that have both. `read` gives bytes, and
    fewer where the file ends.
    """

    def list(self) -> Iterable[object]:
        """All files: posix paths below the root."""

    def size(self, path: str) -> int:
        """The size of a file in bytes."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """A range of a file."""


def open_object(store: Store, title: str = "object", access: Access | None = None) -> RangedSource:
    """The source that an object is; its files are listed once. Raises SourceError."""
    access = access or Access()
    deadline = Deadline(access.timeout)
    reading = _Reading(store, title)
    entries = alone(reading.entries, deadline)
    missing = [one for one in entries if one.size == UNKNOWN and _is_sized(one)]
    sizes = {one.path: size for one, size in together(reading.size, missing, deadline)}
    return RangedSource(
        Origin(title, "object", title),
        [one._replace(size=sizes.get(one.path, one.size)) for one in entries],
        Pieces(reading.fetch, access.watch),
        deadline,
        access.watch,
    )


class _Reading:
    """The object, with its errors turned into ours and its answers checked."""

    def __init__(self, store: Store, title: str) -> None:
        self._store = store
        self._title = title

    def entries(self) -> list[FileEntry]:
        """What the object lists, each path once."""
        listed = _ask(self._title, lambda: list(islice(self._store.list(), MAX_FILES + 1)))
        if len(listed) > MAX_FILES:
            raise SourceUnreadable(f"{self._title}: more than {MAX_FILES:,} files", "list fewer")
        found: dict[str, FileEntry] = {}
        for one in self._listed(listed):
            found.setdefault(one.path, one)
        return [*found.values()]

    def size(self, entry: FileEntry) -> int:
        """The size of a file that the list does not tell."""
        return _size(entry.path, _ask(entry.path, lambda: self._store.size(entry.path)))

    def fetch(self, path: str, start: int, length: int) -> Beginning:
        """A range, as bytes of our own."""
        given = _ask(path, lambda: self._store.read(path, start, length))
        try:
            data = bytes(memoryview(given))
        except (TypeError, BufferError):
            kind = type(given).__name__
            raise SourceUnreadable(f"{path}: read() gives {kind}, not bytes") from None
        return Beginning(data, UNKNOWN)

    def _listed(self, listed: list[object]) -> Iterator[FileEntry]:
        for one in listed:
            path, size = _path_and_size(one)
            if not isinstance(path, str):
                kind = type(one).__name__
                raise SourceUnreadable(
                    f"{self._title}: list() gives {kind}, which is no path and has none",
                    "it should give paths, or pairs of path and size",
                )
            if is_told(path):
                problem = None if is_inside(path) else UNSAFE
                told = UNKNOWN if size is None else _size(path, size)
                yield FileEntry(path, 0 if problem else told, problem=problem)


def _is_sized(entry: FileEntry) -> bool:
    return not entry.problem and entry.path.endswith(_SIZED)


def _path_and_size(one: object) -> tuple[object, object]:
    """Of a path, a pair, a mapping or a value with attributes; None for what it does not tell."""
    if isinstance(one, str):
        return one, None
    if isinstance(one, Mapping):
        return one.get("path"), one.get("size")
    if isinstance(one, tuple) and not hasattr(one, "path"):
        return (one[0], one[1]) if len(one) == 2 else (None, None)
    return getattr(one, "path", None), getattr(one, "size", None)


def _size(path: str, size: object) -> int:
    if not isinstance(size, int) or isinstance(size, bool):
        kind = type(size).__name__
        raise SourceUnreadable(f"{path}: its size is told as {kind}, not as a count of bytes")
    if not 0 <= size < _LARGEST:
        raise SourceUnreadable(f"{path}: its size is told as {size:,} bytes")
    return size


def _ask(about: str, call: Callable[[], T]) -> T:
    """What a call of the object gives; what it raises becomes an error of ours."""
    obstore = getattr(sys.modules.get("obstore.exceptions"), "BaseError", OSError)
    try:
        return call()
    except SourceError:
        raise
    except (*_FAILURES, obstore) as error:
        kind = type(error).__name__
        if isinstance(error, (FileNotFoundError, KeyError)):
            raise SourceNotFound(f"{about}: is not there ({kind})", _NO_FILES) from error
        if isinstance(error, PermissionError):
            raise SourceRefused(f"{about}: may not be read ({kind})", "check who asks") from error
        if isinstance(error, (ConnectionError, TimeoutError)):
            raise SourceUnreachable(f"{about}: is out of reach ({kind})", "try again") from error
        raise SourceUnreadable(
            f"{about}: can't be read ({kind})", "the cause is chained to this error in Python"
        ) from error
