"""Bytes of both sides at once: ranges joined per file, read side by side."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from ckptscan.content.keeping import stamps
from ckptscan.content.pairs.values import Chunk, Side
from ckptscan.content.streams import renewal_of
from ckptscan.errors import SourceError, SourceUnreadable
from ckptscan.header import LENGTH
from ckptscan.sources import Filling, Range
from ckptscan.sources.base import read_ranges

_BATCH = 32 << 20  # bytes of both sides that are held at once
LONGEST = 1 << 20  # bytes of one range
GAP = 4096  # bytes between two ranges of a remote file that cost less than a request
FAR_GAP = 64 << 10  # the same, where requests are counted: 40 ms are 500 KB at 100 Mbit/s


class Place:
    """Where the tensors of one side lie, and how its bytes are read.

    `spare` bytes may be read in vain, where that saves requests, `gap` at most between two ranges;
    `nbytes` were read so far.
    """

    def __init__(self, side: Side) -> None:
        self.side = side
        self._checkpoint = side.structure.checkpoint
        self._table = self._checkpoint.table
        self.stamps = self._stamped()
        if isinstance(side.source, Filling):
            self._hold_against({one.path: one.identity for one in self._checkpoint.files})
        self.renew = renewal_of(side.source)
        self.spare = 0
        self.gap = GAP
        self.nbytes = 0

    def at(self, row: int, start: int) -> tuple[str, int]:
        """The file and the place in it of a byte of a tensor."""
        shard = self._table.shards[self._table.shard_of(row)]
        return shard.path, LENGTH + shard.header_size + self._table.starts[row] + start

    def nbytes_of(self, row: int) -> int:
        """Bytes of a tensor."""
        return self._table[row].nbytes

    def read(self, wanted: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], bytes]:
        """Stretches of files with their bytes. Raises SourceError, which names the side."""
        source = self.side.source
        with named(self.side.name):
            self.renew()
            ranges = list(joined(wanted, 0 if isinstance(source, Filling) else self._gap(wanted)))
            held = dict(self._fetched(ranges))
        self.nbytes += sum(one.length for one in ranges)
        found = {}
        for one in ranges:
            whole = memoryview(held[one])
            for path, start, length in one.parts:
                at = start - one.start
                found[path, start, length] = bytes(whole[at : at + length])
        for (path, _, length), raw in found.items():
            if len(raw) != length:
                raise SourceUnreadable(*self.changed(path))
        return found

    def _gap(self, wanted: Sequence[tuple[str, int, int]]) -> int:
        """How large gaps may be, so that all of them cost no more than is to spare."""
        most = self.gap if len(wanted) * self.gap <= self.spare else 0
        self.spare -= len(wanted) * most
        return most

    def _fetched(self, ranges: Sequence[Joined]) -> Iterator[tuple[Joined, bytes]]:
        source = self.side.source
        if not isinstance(source, Filling):
            by_range = {Range(one.path, one.start, one.length): one for one in ranges}
            for told, raw in read_ranges(source, list(by_range)):
                yield by_range[told], raw
            return
        for path, some in groupby(ranges, key=lambda one: one.path):
            opened = source.open_file(path)
            try:
                for one in some:
                    buffer = bytearray(one.length)
                    yield one, bytes(buffer[: opened.fill(one.start, memoryview(buffer))])
            finally:
                opened.close()

    def check(self) -> None:
        """Raise SourceUnreadable where a file was written while it was read."""
        self._hold_against(self._stamped())

    def _hold_against(self, others: Mapping[str, str | None]) -> None:
        for path, stamp in self.stamps.items():
            if others.get(path) != stamp:
                raise SourceUnreadable(*self.changed(path))

    def changed(self, path: str) -> tuple[str, str]:
        """What is said of a file that is not what it was."""
        message = f"{self.side.name}: {path}: it changed while it was read"
        return message, "compare again when nobody writes it"

    def _stamped(self) -> dict[str, str]:
        with named(self.side.name):
            return stamps(self.side.source, self._checkpoint)


class Joined:
    """One range of a file with the stretches that lie in it."""

    def __init__(self, path: str, start: int, length: int) -> None:
        self.path, self.start, self.length = path, start, length
        self.parts = [(path, start, length)]


def joined(wanted: Iterable[tuple[str, int, int]], gap: int) -> Iterator[Joined]:
    """Stretches of files as few ranges, in order; those with at most `gap` bytes between as one."""
    held: Joined | None = None
    for path, start, length in sorted(set(wanted)):
        if held is not None and held.path == path and start <= held.start + held.length + gap:
            reach = max(held.length, start + length - held.start)
            if reach <= LONGEST:
                held.length = reach
                held.parts.append((path, start, length))
                continue
        if held is not None:
            yield held
        held = Joined(path, start, length)
    if held is not None:
        yield held


class named:  # noqa: N801  # reads as a word
    """Errors of a source in it say which side it was."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SourceError):
            raise type(error)(f"{self._name}: {error.message}", error.hint) from error


def read_chunks(
    a: Place, b: Place, chunks: Sequence[Chunk]
) -> Iterator[tuple[Chunk, bytes, bytes]]:
    """Chunks with the bytes of both sides, in the order of A's files. Raises SourceError."""

    def key(chunk: Chunk) -> tuple[str, int]:
        return a.at(chunk.run.a, chunk.a_start * chunk.run.widths[0])

    for batch in _batches(sorted(chunks, key=key)):
        ours = [_stretch(a, 0, one) for one in batch]
        theirs = [_stretch(b, 1, one) for one in batch]
        held, other = _both(a, ours, b, theirs)
        for chunk, one, two in zip(batch, ours, theirs, strict=True):
            yield chunk, held[one], other[two]


def _batches(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    held: list[Chunk] = []
    nbytes = 0
    for chunk in chunks:
        if held and nbytes + chunk.nbytes > _BATCH:
            yield held
            held, nbytes = [], 0
        held.append(chunk)
        nbytes += chunk.nbytes
    if held:
        yield held


def _stretch(place: Place, side: int, chunk: Chunk) -> tuple[str, int, int]:
    row, start, length = chunk.stretches[side]
    return *place.at(row, start), length


_Held = dict[tuple[str, int, int], bytes]


def _both(
    a: Place, ours: Sequence[tuple[str, int, int]], b: Place, theirs: Sequence[tuple[str, int, int]]
) -> tuple[_Held, _Held]:
    """What is read of both sides, at once where neither is a disk."""
    if isinstance(a.side.source, Filling) and isinstance(b.side.source, Filling):
        return a.read(ours), b.read(theirs)
    done: list[_Held | BaseException] = []

    def read_other() -> None:
        try:
            done.append(b.read(theirs))
        except BaseException as error:  # raised again by whoever waits
            done.append(error)

    thread = threading.Thread(target=read_other, daemon=True)
    thread.start()
    held = a.read(ours)
    thread.join()
    if isinstance(done[0], BaseException):
        raise done[0]
    return held, done[0]
