"""Headers and small files that were read over the net, kept on disk for the next time.

    <cache>/headers/<origin>/<content>      the beginning of a weight file, up to its header's end
    <cache>/files/<origin>/<content>        an index, config.json and its kin
    <cache>/manifests/<origin>/<place>      the files of one commit: sizes, digests
    <cache>/refs/<origin>/<place>           the commit that a branch had when last seen
    <cache>/progress/<origin>/<place>       what an interrupted reading of tensors has measured
    <cache>/terms/<origin>/<content>        where the bytes of a file are stored, as Xet tells it

Each name is a hash. Headers and small files are keyed by the sha256 of their whole file, or by what
git calls it, so that revisions and forks share them (where neither is told, by their place); by the
origin too, so that a server which lies about digests fills nobody's keys but its own. Files appear
whole or not at all, so that several processes may write at once; each carries a checksum against
damage. A cache that can't be used is no error: everything is read again.
"""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

from ckptscan.sources.base import FileEntry

ROOMS = ("headers", "files", "manifests", "refs", "progress", "terms")
BOUND = 1 << 30  # bytes; DeepSeek-V3 takes 21 MB, of which its index 9
_KEPT = 0.8  # of the bound, once it is passed
_MAGIC = b"ckptscan1"
_VARIABLE = "CKPTSCAN_CACHE"
# never waits for a FIFO
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_DAY = 86_400  # seconds; what was used is marked so at most once a day


def folder() -> str:
    """Where the cache lies: CKPTSCAN_CACHE, or ckptscan in the user's cache folder."""
    stated = os.environ.get(_VARIABLE)
    if stated:
        return os.path.abspath(os.path.expanduser(stated))
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    return os.path.join(os.path.abspath(os.path.expanduser(home)), "ckptscan")


class Usage(NamedTuple):
    """What a cache holds: files and bytes of each room, by its name."""

    rooms: dict[str, tuple[int, int]]

    @property
    def files(self) -> int:
        """Files of all rooms."""
        return sum(files for files, _ in self.rooms.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all rooms."""
        return sum(nbytes for _, nbytes in self.rooms.values())


class Shelf:
    """The part of the cache that belongs to one origin and one place there, as a repository."""

    def __init__(self, origin: str, place: str, root: str | None = None) -> None:
        self._root = root or folder()
        self._origin = _hash(origin)
        self._place = place
        self._written = 0

    def find(self, commit: str, entry: FileEntry, part: str) -> bytes | None:
        """What was kept of a file as it stands in a commit; `part` is head or whole."""
        return self._read(*self._key(commit, entry, part))

    def keep(self, commit: str, entry: FileEntry, part: str, data: bytes) -> None:
        """Keep the head of a file, or all of it, as it stands in a commit."""
        self._write(*self._key(commit, entry, part), data)

    def manifest(self, commit: str) -> dict[str, object] | None:
        """What was kept of a commit's list of files."""
        raw = self._read("manifests", self._placed(commit))
        try:
            found = json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def keep_manifest(self, commit: str, manifest: dict[str, object]) -> None:
        """Keep a commit's list of files."""
        self._write("manifests", self._placed(commit), json.dumps(manifest).encode())

    def commit(self, revision: str) -> str | None:
        """The commit that a branch or tag had when it was last seen."""
        raw = self._read("refs", self._placed(revision))
        return raw.decode("ascii", "replace") if raw else None

    def keep_commit(self, revision: str, commit: str) -> None:
        """Keep the commit that a branch or tag has."""
        self._write("refs", self._placed(revision), commit.encode())

    def progress(self, reading: str) -> bytes | None:
        """What was kept of a reading that did not come to its end."""
        return self._read("progress", self._placed(reading))

    def keep_progress(self, reading: str, state: bytes) -> None:
        """Keep how far a reading came."""
        self._write("progress", self._placed(reading), state)

    def drop_progress(self, reading: str) -> None:
        """Forget a reading that came to its end."""
        if self._is_ours:
            with suppress(OSError):
                os.unlink(self._at("progress", self._placed(reading)))

    def terms(self, file_id: str) -> bytes | None:
        """What was kept of where a file is stored, whose id is a hash of its content."""
        return self._read("terms", _hash(file_id))

    def keep_terms(self, file_id: str, terms: bytes) -> None:
        """Keep where a file is stored."""
        self._write("terms", _hash(file_id), terms)

    def _key(self, commit: str, entry: FileEntry, part: str) -> tuple[str, str]:
        room = "headers" if part == "head" else "files"
        content = entry.digest or (_hash(entry.identity) if entry.identity else None)
        return room, content or self._placed(commit, entry.path, str(entry.size))

    def settle(self) -> None:
        """Hold the cache within its bound, where this reading has added to it."""
        if self._written:
            self._written = 0
            trim(BOUND, self._root)

    @cached_property
    def _is_ours(self) -> bool:
        return is_ours(self._root)

    def _placed(self, *parts: str) -> str:
        return _hash("\0".join((self._place, *parts)))

    def _at(self, room: str, key: str) -> str:
        return os.path.join(self._root, room, self._origin, key)

    def _read(self, room: str, key: str) -> bytes | None:
        path = self._at(room, key)
        if not self._is_ours:
            return None
        try:
            handle = os.open(path, _READ)
            with os.fdopen(handle, "rb") as opened:
                found = os.fstat(handle)
                if not stat.S_ISREG(found.st_mode):
                    return None
                data = opened.read()
            if found.st_mtime + _DAY < _now():
                os.utime(path)
        except OSError:
            return None
        body, seal = data[: -len(_seal(b""))], data[-len(_seal(b"")) :]
        return body if seal == _seal(body) else None

    def _write(self, room: str, key: str, data: bytes) -> None:
        path = self._at(room, key)
        temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}.part"
        with suppress(OSError):
            if not self._is_ours:
                return
            _make_private(self._root, os.path.dirname(path))
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(handle, "wb") as opened:
                    opened.write(data)
                    opened.write(_seal(data))
                os.replace(temporary, path)
                self._written += len(data)
            except OSError:
                os.unlink(temporary)


class Kept:
    """What a shelf holds of one commit, by paths below a folder."""

    def __init__(self, shelf: Shelf, commit: str, folder: str) -> None:
        self._shelf = shelf
        self._commit = commit
        self._prefix = f"{folder}/" if folder else ""

    def find(self, entry: FileEntry, part: str) -> bytes | None:
        """What was kept of a file; `part` is head or whole."""
        return self._shelf.find(self._commit, self._full(entry), part)

    def keep(self, entry: FileEntry, part: str, data: bytes) -> None:
        """Keep the head of a file, or all of it."""
        self._shelf.keep(self._commit, self._full(entry), part, data)

    def settle(self) -> None:
        """Hold the cache within its bound, where something was added."""
        self._shelf.settle()

    def _full(self, entry: FileEntry) -> FileEntry:
        return entry._replace(path=self._prefix + entry.path)


def usage(root: str | None = None) -> Usage:
    """What the cache holds."""
    rooms = {}
    for room in ROOMS:
        sizes = [size for _, size, _ in _held(root or folder(), (room,))]
        rooms[room] = (len(sizes), sum(sizes))
    return Usage(rooms)


def is_ours(root: str) -> bool:
    """Whether nobody else may write what is read here, as in a folder that anybody can make.

    One that others may write is not used.
    """
    for room in ROOMS:
        try:
            found = os.lstat(os.path.join(root, room))
        except OSError:
            continue
        is_foreign = hasattr(os, "getuid") and found.st_uid != os.getuid()
        if is_foreign or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o022:
            return False
    return True


def is_writable(root: str) -> bool:
    """Whether a folder can be written, or made where it is not there yet."""
    while not os.path.lexists(root) and os.path.dirname(root) != root:
        root = os.path.dirname(root)
    return os.path.isdir(root) and os.access(root, os.W_OK | os.X_OK)


def clear(root: str | None = None) -> Usage:
    """Remove everything that is kept, and nothing else; gives what there was."""
    root = root or folder()
    before = usage(root)
    for path, _, _ in list(_held(root, ROOMS)):
        with suppress(OSError):
            os.unlink(path)
    for room in ROOMS:
        with suppress(OSError):
            for name in os.listdir(os.path.join(root, room)):
                os.rmdir(os.path.join(root, room, name))
            os.rmdir(os.path.join(root, room))
    with suppress(OSError):
        os.rmdir(root)
    return before


def trim(bound: int, root: str | None = None) -> None:
    """Where more than `bound` bytes are kept, remove what was not used for longest."""
    held = sorted(_held(root or folder(), ROOMS), key=lambda one: one[2])
    total = sum(size for _, size, _ in held)
    if total <= bound:
        return
    for path, size, _ in held:
        if total <= bound * _KEPT:
            return
        with suppress(OSError):
            os.unlink(path)
            total -= size


def _held(root: str, rooms: tuple[str, ...]) -> Iterator[tuple[str, int, float]]:
    """Path, size and time of last use of every file that is kept; follows no link."""
    for room in rooms:
        with suppress(OSError), os.scandir(os.path.join(root, room)) as origins:
            for origin in origins:
                if not origin.is_dir(follow_symlinks=False):
                    continue
                with suppress(OSError), os.scandir(origin.path) as files:
                    for file in files:
                        found = file.stat(follow_symlinks=False)
                        if stat.S_ISREG(found.st_mode):
                            yield file.path, found.st_size, found.st_mtime


def _make_private(root: str, path: str) -> None:
    """Make the folders that are missing, readable by their owner alone."""
    if os.path.isdir(path):
        return
    os.makedirs(os.path.dirname(root), exist_ok=True)
    above = os.path.dirname(path)
    for one in (root, os.path.dirname(above), above, path):
        with suppress(FileExistsError):
            os.mkdir(one, 0o700)


def _seal(body: bytes) -> bytes:
    return _MAGIC + zlib.crc32(body).to_bytes(4, "little")


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> float:
    import time

    return time.time()
