"""A source of files that lie elsewhere: what is read of them, how much, when, and in parallel.

Where the files lie and how bytes of them are had is a Place; here it is decided which bytes: whole
side files, the beginnings of weight files, each once, and what is at hand before anything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Event, Lock
from typing import NamedTuple, Protocol

from ckptscan.config import MAX_CONFIG, SIDE_NAMES
from ckptscan.errors import SourceNotFound, SourceUnreachable, SourceUnreadable
from ckptscan.header import LENGTH, parse_header, wanted
from ckptscan.index import MAX_INDEX, is_index
from ckptscan.sources.access import Deadline, Watch
from ckptscan.sources.answers import ENDLESS
from ckptscan.sources.base import FileEntry, Job, Origin, Range
from ckptscan.sources.crew import Crew, together

UNKNOWN = -1  # the size of a file whose place does not tell it
# bytes from the start of a weight file where nothing foretells its header: of 1,671 shards of 76
# models one in seven has more, and is asked for twice
DEFAULT_HEAD = 128 << 10
LARGE = 1 << 30  # bytes of a weight file whose header is expected to be twice as long
MAX_HELD = 2 << 30  # bytes of headers and side files of one source


class Beginning(NamedTuple):
    """The first bytes of a file, and its size; UNKNOWN where nothing tells."""

    data: bytes
    size: int

    @property
    def is_head(self) -> bool:
        """Whether the whole header is in it."""
        size = ENDLESS if self.size == UNKNOWN else self.size
        return len(self.data) >= min(size, wanted(self.data[:LENGTH], size))


class Place(Protocol):
    """Where files lie. All calls may come from many threads; all raise SourceError."""

    def look(self, path: str, size: int) -> Beginning:
        """Find out where a file lies, for later; gives what was seen of it, often nothing."""

    def begin(self, path: str, size: int, guess: int) -> Beginning:
        """A weight file up to its header's end, which is expected within `guess` bytes."""

    def whole(self, path: str, size: int, most: int) -> bytes:
        """All of a file of at most `most` bytes."""

    def read(self, path: str, start: int, length: int, size: int) -> bytes:
        """A range of a file; fewer bytes where it ends."""


class Nearer(Protocol):
    """Where the same bytes may be at hand, so that nobody need be asked for them."""

    def find(self, entry: FileEntry, part: str) -> bytes | None:
        """The head of a weight file, or a whole small one."""

    def keep(self, entry: FileEntry, part: str, data: bytes) -> None:
        """Keep it for the next time, where this is a place to keep things."""

    def settle(self) -> None:
        """All is kept that will be."""


class RangedSource:
    """Files of a place, listed beforehand; what is fetched is held, and read from there.

    `held` are files that were read on the way. `promised` are weight files that an index names and
    that may not be there, with how long their beginnings are expected to be.
    """

    def __init__(
        self,
        origin: Origin,
        entries: Iterable[FileEntry],
        place: Place,
        deadline: Deadline,
        watch: Watch,
        nearer: Sequence[Nearer] = (),
        held: Mapping[str, bytes] | None = None,
        promised: Mapping[str, int] | None = None,
    ) -> None:
        self._origin = origin
        self._entries = {entry.path: entry for entry in entries}
        self._place = place
        self._deadline = deadline
        self._watch = watch
        self._nearer = nearer
        self._held = dict(held or {})
        self._promised = promised or {}
        self._seen: dict[str, bytes] = {}  # of files that were looked at: less than a header
        self._looking: dict[str, Event] = {}
        self._nbytes = 0
        self._lock = Lock()

    @property
    def origin(self) -> Origin:
        """What was asked for and what it turned out to be."""
        return self._origin

    def files(self) -> Sequence[FileEntry]:
        """The files as listed; of those whose size was not told, what is needed is fetched now.

        Raises SourceError.
        """
        unknown = [entry for entry in self._entries.values() if entry.size == UNKNOWN]
        list(self.fetch(list(self._needed(unknown))))
        for entry in unknown:
            if entry.path in self._entries and self._entries[entry.path].size == UNKNOWN:
                small = entry._replace(
                    size=0, problem=entry.problem or "is of a size that nothing tells"
                )
                self._entries[entry.path] = small
        return list(self._entries.values())

    def renew(self) -> None:
        """Count the time limit of the reading from now."""
        self._deadline.renew()

    def fetch(
        self, jobs: Sequence[Job], then: Callable[[str], Sequence[Job]] | None = None
    ) -> Iterator[str]:
        """Have files ready to be read; gives their paths as they come in.

        `then` may give further jobs for a path that has come in. Raises the first SourceError, and
        what was fetched beside it is then of no use.
        """
        crew = Crew(self._do, self._deadline)
        ready = deque(self._begun(jobs, crew))
        try:
            while True:
                while ready:
                    path = ready.popleft()
                    yield path
                    ready.extend(self._begun(then(path) if then else (), crew))
                done = crew.next()
                if done is None:
                    return
                if done[0].part != "look":
                    self._watch.finished()
                    ready.append(done[0].path)
        finally:
            crew.dismiss()
            self._watch.end()
            for near in self._nearer:
                near.settle()

    def read_all(self, ranges: Sequence[Range]) -> Iterator[tuple[Range, bytes]]:
        """Ranges with their bytes, as they come in. Raises SourceError."""
        self._watch.begin(len(ranges))
        try:
            for done in together(lambda one: self.read(*one), ranges, self._deadline):
                self._watch.finished()
                yield done
        finally:
            self._watch.end()

    def _begun(self, jobs: Sequence[Job], crew: Crew[Job, None]) -> list[str]:
        """The paths that are at hand; what the other jobs want is begun to be fetched."""
        missing, ready = [], []
        for job in jobs:
            if job.path not in self._held and not self._is_near(job):
                missing.append(job)
            elif job.part != "look":
                ready.append(job.path)
        self._watch.begin(sum(job.part != "look" for job in missing))
        self._looking |= {job.path: Event() for job in missing if job.part == "look"}
        crew.add(missing)
        return ready

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file; fewer where it ends. Held ones cost nothing. Raises SourceError."""
        entry = self._entries[path]
        end = min(start + length, entry.size)
        held = self._held.get(path, b"")
        if end <= len(held):
            return held[start:end]
        found = []
        while start < end:
            data = self._place.read(path, start, end - start, entry.size)
            if not data:
                raise SourceUnreachable(f"{path}: it ends at {start:,} of {entry.size:,} bytes")
            found.append(data)
            start += len(data)
        return b"".join(found)

    def _needed(self, unknown: Iterable[FileEntry]) -> Iterator[Job]:
        for entry in unknown:
            if entry.problem:
                continue
            if entry.path.endswith(".safetensors") or self._origin.is_single_file:
                yield Job(entry.path, "head", self._promised.get(entry.path, 0))
            elif is_index(entry.path):
                yield Job(entry.path, "whole", MAX_INDEX)
            elif entry.path.rpartition("/")[2] in SIDE_NAMES:
                yield Job(entry.path, "whole", MAX_CONFIG)

    def _is_near(self, job: Job) -> bool:
        entry = self._entries[job.path]
        part = "whole" if job.part == "whole" else "head"
        for near in self._nearer if entry.size != UNKNOWN else ():
            data = near.find(entry, part)
            if data is None:
                continue
            is_whole = len(data) == entry.size
            if is_whole if part == "whole" else Beginning(data, entry.size).is_head:
                self._hold(job.path, data)
                self._watch.kept()
                return True
        return False

    def _do(self, job: Job) -> None:
        """One job, by a thread of the crew."""
        entry = self._entries[job.path]
        if entry.problem:
            raise SourceUnreadable(f"{entry.path}: {entry.problem}", "it is not asked for")
        if job.part == "whole":
            data = self._place.whole(entry.path, entry.size, job.nbytes)
            self._take(entry, "whole", Beginning(data, len(data)))
        elif job.part == "look":
            try:
                found = self._place.look(entry.path, entry.size)
                self._seen[entry.path] = found.data
                self._take(entry, "head", found)
            finally:
                self._looking[entry.path].set()
        else:
            begun = self._begin(job, entry)
            if begun is not None:
                self._take(entry, "head", begun)

    def _take(self, entry: FileEntry, part: str, found: Beginning) -> None:
        """Hold and keep what came in, if it is all of the part that is wanted."""
        if part == "head" and not found.is_head:
            return
        entry, data = self._sized(entry, found), found.data
        if part == "head":
            data = data[: wanted(data[:LENGTH], entry.size)]
        self._hold(entry.path, data)
        for near in self._nearer:
            near.keep(entry, part, data)

    def _begin(self, job: Job, entry: FileEntry) -> Beginning | None:
        """The head of a weight file; None where it was seen already, or promised and is absent."""
        if entry.path in self._looking:
            self._looking[entry.path].wait(self._deadline.left())
        if entry.path in self._held:
            return None
        try:
            return self._place.begin(entry.path, entry.size, self._guess(job))
        except SourceNotFound:
            if entry.path not in self._promised:
                raise
            del self._entries[entry.path]
            return None

    def _guess(self, job: Job) -> int:
        seen = self._seen.get(job.path, b"")
        if len(seen) >= LENGTH:
            return wanted(seen, max(self._entries[job.path].size, 0))
        if job.nbytes:
            return job.nbytes
        return DEFAULT_HEAD * (2 if self._entries[job.path].size >= LARGE else 1)

    def _sized(self, entry: FileEntry, found: Beginning) -> FileEntry:
        """The entry with its size, if that was not known: told by the place, or by its header."""
        if entry.size == UNKNOWN:
            size, is_told = found.size, found.size != UNKNOWN
            if not is_told:
                header = parse_header(found.data, ENDLESS)
                size = LENGTH + header.size + max(header.ends, default=0)
            entry = entry._replace(size=size, is_size_told=is_told)
            self._entries[entry.path] = entry
        return entry

    def _hold(self, path: str, data: bytes) -> None:
        with self._lock:
            self._held[path] = data
            self._nbytes += len(data)
            if self._nbytes > MAX_HELD:
                raise SourceUnreadable(
                    f"{path}: with it the headers have more than {MAX_HELD:,} bytes",
                    "name a folder or a file of it",
                )


class Absent:
    """A place that may not be asked: every request is forbidden."""

    def __init__(self, name: str) -> None:
        self._name = name

    def look(self, path: str, size: int) -> Beginning:
        """Nothing is seen."""
        return Beginning(b"", size)

    def begin(self, path: str, size: int, guess: int) -> Beginning:
        """Raises SourceUnreachable."""
        raise self._forbidden(path)

    def whole(self, path: str, size: int, most: int) -> bytes:
        """Raises SourceUnreachable."""
        raise self._forbidden(path)

    def read(self, path: str, start: int, length: int, size: int) -> bytes:
        """Raises SourceUnreachable."""
        raise self._forbidden(path)

    def _forbidden(self, path: str) -> SourceUnreachable:
        return SourceUnreachable(
            f"{path}: of {self._name}, is in no cache, and requests are forbidden",
            "read it once without --offline and HF_HUB_OFFLINE",
        )
