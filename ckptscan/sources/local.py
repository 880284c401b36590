"""Checkpoints on a local disk: a directory, one file, or a snapshot in the Hugging Face cache."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

from ckptscan.errors import SourceNotFound, SourceUnreadable
from ckptscan.index import is_index
from ckptscan.sources.access import NOBODY, Watch
from ckptscan.sources.base import DANGLING, MAX_DEPTH, MAX_FILES, FileEntry, Origin

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_STRANGE = (
    (stat.S_ISFIFO, "is a FIFO"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
    (stat.S_ISDIR, "is a directory"),
)


class LocalSource:
    """The files below a folder, or some of them; opens regular files only."""

    def __init__(
        self, root: str, origin: Origin, only: Sequence[str] | None = None, watch: Watch = NOBODY
    ) -> None:
        self._root = root
        self._origin = origin
        self._only = only
        self._watch = watch

    @property
    def origin(self) -> Origin:
        """What was asked for and what it turned out to be."""
        return self._origin

    def files(self) -> Sequence[FileEntry]:
        """The files below the root, three folders deep; hidden folders are left out.

        Raises SourceUnreadable for more than 100,000, as whoever names `/` has.
        """
        if self._only is not None:
            paths = [path for path in self._only if os.path.lexists(self._at(path))]
            return [self._entry(path, self._at(path)) for path in paths]
        found = list(islice(self._walk("", 0), MAX_FILES + 1))
        if len(found) > MAX_FILES:
            raise SourceUnreadable(
                f"{self._origin.spec}: more than {MAX_FILES:,} files", "name the model's folder"
            )
        return found

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends."""
        try:
            handle = open_regular(self._at(path))
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            found = _read_range(handle, start, length)
            self._watch.opened(self._at(path), len(found))
            return found
        except OSError as error:
            raise _unreadable(path, error) from error
        finally:
            os.close(handle)

    def open_file(self, path: str) -> OpenFile:
        """A regular file, open to be read in many pieces. Raises SourceUnreadable."""
        try:
            told = partial(self._watch.opened, self._at(path))
            return OpenFile(path, open_regular(self._at(path)), told)
        except OSError as error:
            raise _unreadable(path, error) from error

    def location(self, path: str) -> str:
        """The path of a file for the system."""
        return self._at(path)

    def _at(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/"))

    def _walk(self, folder: str, depth: int) -> Iterator[FileEntry]:
        folders = []
        try:
            with os.scandir(self._at(folder) if folder else self._root) as found:
                for item in found:
                    path = f"{folder}/{item.name}" if folder else item.name
                    if not _is_folder(item):
                        yield self._entry(path, item.path)
                    elif not item.name.startswith(".") and not item.is_symlink():
                        folders.append(path)
        except OSError as error:
            if depth == 0:
                raise _unreadable(self._origin.spec, error) from error
            return
        if depth < MAX_DEPTH:
            for path in folders:
                yield from self._walk(path, depth + 1)

    def _entry(self, path: str, full: str) -> FileEntry:
        link = _link(full)
        try:
            found = os.stat(full)
        except OSError as error:
            gone = DANGLING if link is not None else error.strerror
            return FileEntry(path, 0, None, gone or "can't be read", link=link)
        if not stat.S_ISREG(found.st_mode):
            return FileEntry(path, 0, None, _strangeness(found.st_mode), link=link)
        digest, identity = _blob_digest(link), _stamp(found)
        return FileEntry(path, found.st_size, digest, link=link, identity=identity)


class OpenFile:
    """One regular file, read by pread: a mapping of it would end the process where it shrinks."""

    def __init__(self, path: str, handle: int, told: Callable[[int], None]) -> None:
        self._path = path
        self._handle = handle
        self._told = told
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):  # twice as much is read ahead
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def fill(self, start: int, into: memoryview) -> int:
        """Read from there into a buffer; gives how many bytes came, fewer where the file ends."""
        got = 0
        try:
            while got < len(into):
                read = os.preadv(self._handle, [into[got:]], start + got)
                if not read:
                    break
                got += read
        except OSError as error:
            raise _unreadable(self._path, error) from error
        self._told(got)
        return got

    def stamp(self) -> str:
        """Device, inode, size and times of the file."""
        return _stamp(os.fstat(self._handle))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._handle)


def _stamp(found: os.stat_result) -> str:
    """What tells a file from every other, and from itself once somebody has written it."""
    return f"{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}"


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a link to itself
        return False


def open_regular(path: str) -> int:
    """A descriptor of a regular file; raises OSError or SourceUnreadable, and never waits."""
    handle = os.open(path, _OPEN_FLAGS)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        name = os.path.basename(path)
        raise SourceUnreadable(f"{name}: {_strangeness(mode)}", "only files are read")
    return handle


def _read_range(handle: int, start: int, length: int) -> bytes:
    """The bytes of a range; a second read where the system gave fewer than asked for."""
    pieces = [os.pread(handle, length, start)]
    got = len(pieces[0])
    while pieces[-1] and got < length:
        pieces.append(os.pread(handle, length - got, start + got))
        got += len(pieces[-1])
    return b"".join(pieces)


def _strangeness(mode: int) -> str:
    return next((what for test, what in _STRANGE if test(mode)), "is no regular file")


def _unreadable(path: str, error: OSError) -> SourceUnreadable:
    reason = (error.strerror or type(error).__name__).lower()
    return SourceUnreadable(f"{path}: {reason}", "check the path and its permissions")


def _link(full: str) -> str | None:
    """Where a symbolic link leads, as it is written; None for what is none."""
    try:
        return os.readlink(full)
    except OSError:
        return None


def _blob_digest(link: str | None) -> str | None:
    """The sha256 that a Hugging Face cache link tells by its target's name.

    One readlink, never realpath: since huggingface_hub 2 the blob itself may be a link into a
    store that is named by other hashes.
    """
    target = os.path.basename(link or "")
    return target if _SHA256.fullmatch(target) else None


def open_local(spec: str, watch: Watch = NOBODY) -> LocalSource:
    """The source for a path that exists; raises SourceError."""
    path = os.path.abspath(spec)
    if not os.path.isdir(path):
        return _open_file(spec, path, watch)
    snapshots = os.path.join(path, "snapshots")
    if os.path.basename(path).startswith("models--") and os.path.isdir(snapshots):
        return _open_cached(spec, path, snapshots, watch)
    above, commit = os.path.split(path)
    repository = os.path.basename(os.path.dirname(above))
    if os.path.basename(above) == "snapshots" and _COMMIT.fullmatch(commit):
        origin = Origin(spec, "hf-cache", _repository_name(repository), None, commit)
        return LocalSource(path, origin, watch=watch)
    cached = [name for name in os.listdir(path) if name.startswith("models--")]
    if len(cached) > 1:
        names = ", ".join(sorted(cached)[:5])
        raise SourceNotFound(
            f"{spec}: a cache with {len(cached):,} models", f"name one of its folders: {names}"
        )
    origin = Origin(spec, "directory", os.path.basename(path) or path)
    return LocalSource(path, origin, watch=watch)


def _open_file(spec: str, path: str, watch: Watch) -> LocalSource:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise SourceUnreadable(f"{spec}: {_strangeness(mode)}", "give a regular file or a folder")
    folder, name = os.path.split(path)
    if is_index(name):
        return LocalSource(folder, Origin(spec, "index", name), watch=watch)
    return LocalSource(folder, Origin(spec, "file", name), only=[name], watch=watch)


def _open_cached(spec: str, path: str, snapshots: str, watch: Watch) -> LocalSource:
    """The snapshot of a cached repository: the one that `main` names, or the only one."""
    name = _repository_name(os.path.basename(path))
    commits = sorted(os.listdir(snapshots))
    revision: str | None = "main"
    try:
        handle = open_regular(os.path.join(path, "refs", "main"))
    except (OSError, SourceUnreadable):
        commit, revision = commits[0] if len(commits) == 1 else "", None
    else:
        with os.fdopen(handle, "rb") as ref:
            commit = ref.read(64).decode("ascii", "replace").strip()
    if commit not in commits:
        raise SourceNotFound(
            f"{spec}: the cache holds {len(commits)} snapshots and none is main",
            f"name one of them: {', '.join(commits[:3])}" if commits else "download it again",
        )
    origin = Origin(spec, "hf-cache", name, revision, commit)
    return LocalSource(os.path.join(snapshots, commit), origin, watch=watch)


def _repository_name(folder: str) -> str:
    """`models--org--name`, as the cache writes it, -> `org/name`."""
    return folder.removeprefix("models--").replace("--", "/")
