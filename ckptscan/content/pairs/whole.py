"""Every byte of both sides, in bounded memory: what is the same is proved, the rest is measured."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ckptscan.content.blocks import Sizes
from ckptscan.content.pairs.bits import compared, difference, weighed
from ckptscan.content.pairs.choosing import Opens, chunk_of, in_turn
from ckptscan.content.pairs.digests import Digests, whole_rows
from ckptscan.content.pairs.fetching import Place, named
from ckptscan.content.pairs.ranks import Sketch, is_asked
from ckptscan.content.pairs.sampling import BUDGET, have_same_rows, judged
from ckptscan.content.pairs.values import OPEN, SAME, Chunk, Figures, Found, Pair, Reading, Wish
from ckptscan.content.reading import Progress
from ckptscan.content.streams import Hand, crew_of, wait_for
from ckptscan.errors import SourceUnreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_CHUNK = 4 << 20  # bytes of one side that are read at once
_HELD = 512 << 20  # bytes of both sides of a tensor that is held whole, to see another order
_LARGE = "turned, and too large to be held"
_UNLIKE = 0.5


def compare_whole(
    a: Place, b: Place, pairs: Mapping[int, Pair], opens: Opens, wish: Wish, progress: Progress
) -> Reading:
    """What all bytes of these pairs say. Raises SourceError that names the side."""
    left = wish.most
    chosen: list[int] = []
    for key in in_turn(pairs, wish.seed) if left is not None else pairs:
        nbytes = pairs[key].nbytes
        if left is None or nbytes <= left:
            chosen.append(key)
            left = None if left is None else left - nbytes
    progress.begin(sum(pairs[key].nbytes for key in chosen))
    digests = Digests(a), Digests(b)
    found = {key: Found(reason=BUDGET) for key in pairs}
    work = _Work((a, b), digests, opens, wish)
    try:
        for key, one in _done(work, pairs, sorted(chosen)):
            found[key] = one
            progress.advance(pairs[key].nbytes)
    finally:
        for kept in digests:
            kept.keep()
        progress.end()
    wanted = sum(pairs[key].nbytes for key, one in found.items() if one.state == OPEN)
    return Reading(found, work.nbytes, wanted)


class _Work:
    """What threads share that compare pairs."""

    def __init__(
        self,
        places: tuple[Place, Place],
        digests: tuple[Digests, Digests],
        opens: Opens,
        wish: Wish,
    ) -> None:
        self.places, self.digests, self.opens, self.wish = places, digests, opens, wish
        self.nbytes = 0
        self.lock = threading.Lock()


def _done(work: _Work, pairs: Mapping[int, Pair], keys: list[int]) -> Iterator[tuple[int, Found]]:
    """Each pair with what was found, as threads are done with it."""
    waiting = queue.SimpleQueue[int]()
    for key in keys:
        waiting.put(key)
    done = queue.SimpleQueue[tuple[int, Found] | BaseException]()
    is_over = threading.Event()

    def run() -> None:
        reader = Reader(work)
        try:
            while not is_over.is_set():
                key = waiting.get_nowait()
                done.put((key, reader.found(key, pairs[key])))
        except queue.Empty:
            pass
        except BaseException as error:  # raised again by whoever waits
            done.put(error)
        finally:
            reader.close()

    crew = min(crew_of(place.side.source) for place in work.places)
    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(crew, len(keys)))]
    for thread in threads:
        thread.start()
    try:
        for _ in keys:
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        is_over.set()
        wait_for(threads)


class Reader:
    """One thread that reads and compares pairs."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._hands = [Hand(place.side.source, Sizes(_CHUNK)) for place in work.places]

    def close(self) -> None:
        """Let go of the files."""
        for hand in self._hands:
            with suppress(OSError):
                hand.close()

    def found(self, key: int, pair: Pair) -> Found:
        """What all bytes of a pair say."""
        rows = whole_rows(*self._work.places, pair)
        if rows is not None:
            known = [one.get(row) for one, row in zip(self._work.digests, rows, strict=True)]
            if known[0] is not None and known[0] == known[1]:
                return Found(SAME, "bytes", elements=pair.units)
        if any(run.is_turned and run.nbytes > _HELD for run in pair.runs):
            return Found(reason=_LARGE)
        passed = Passed(pair, rows is not None)
        blocks = []
        for chunk in _chunks(key, pair, self._work.opens):
            ours, theirs = self._read(chunk)
            blocks.append(passed.look(chunk, ours, theirs, self._work.wish.tolerance))
        if rows is not None and self._is_all(key, pair):
            for digests, row, digest in zip(self._work.digests, rows, passed.digests, strict=True):
                digests.note(row, digest)
        if any(one.different for one in blocks):
            blocks += [weighed(one, self._read(one)[0]) for one in passed.equal]
        told = judged(pair, self._work.opens, key, blocks)
        told = told._replace(samples=0)
        return self._refined(key, pair, told, passed)

    def _is_all(self, key: int, pair: Pair) -> bool:
        return list(self._work.opens[key, 0]) == [(0, pair.units)]

    def _refined(self, key: int, pair: Pair, told: Found, passed: Passed) -> Found:
        """The same with the rank of the difference, and whether only the order is another."""
        figures = told.figures
        if figures is None or not figures.different:
            return told
        if figures.relative >= _UNLIKE and (pair.rows or pair.is_square):
            other = self._in_other_order(key, pair)
            if other is not None:
                return other
        rank = passed.sketch.rank(figures) if passed.sketch is not None else None
        is_tolerated = self._work.wish.tolerance is not None and not figures.beyond
        return told._replace(rank=rank, is_tolerated=is_tolerated)

    def _in_other_order(self, key: int, pair: Pair) -> Found | None:
        """The pair as the same rows in another order, or turned; None where it is neither."""
        run = pair.runs[0]
        if run.nbytes > _HELD or len(pair.runs) > 1:
            return None
        same = Found(SAME, "bytes", elements=pair.units)
        chunk = chunk_of(key, run, 0, run.units)
        ours, theirs = self._read(chunk)
        if pair.rows and have_same_rows(chunk, ours, theirs):
            return same._replace(is_permuted=True)
        turned = chunk._replace(run=run._replace(is_turned=True))
        if pair.is_square and not compared(turned, ours, theirs).different:
            return same._replace(is_turned=True)
        return None

    def _read(self, chunk: Chunk) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The bytes of both sides. Raises SourceError that names the side."""
        found = []
        for place, hand, stretch in zip(
            self._work.places, self._hands, chunk.stretches, strict=True
        ):
            row, start, length = stretch
            path, at = place.at(row, start)
            with named(place.side.name):
                place.renew()
                raw = _bytes(place, hand, path, at, length)
            if len(raw) != length:
                raise SourceUnreadable(*place.changed(path))
            found.append(raw)
        with self._work.lock:
            self._work.nbytes += chunk.nbytes
        return found[0], found[1]


def _bytes(place: Place, hand: Hand, path: str, start: int, length: int) -> NDArray[np.uint8]:
    """Bytes of a file; those that are too many for a thread's own buffer in one of their own."""
    if length <= _CHUNK:
        return hand.read(path, start, length)
    large = Hand(place.side.source, Sizes(length))
    try:
        return large.read(path, start, length)
    finally:
        large.close()


class Passed:
    """What is kept of the chunks of a pair while it is read."""

    def __init__(self, pair: Pair, is_hashed: bool) -> None:
        self.equal: list[Chunk] = []
        self.sketch: Sketch | None = None
        self._run = pair.runs[0] if len(pair.runs) == 1 else None
        self._hashes: list[Any] = [sha256(), sha256()] if is_hashed else []
        self._are_equal = True

    @property
    def digests(self) -> list[str]:
        """Those of both sides."""
        first, second = self._hashes
        return [first.hexdigest(), (first if self._are_equal else second).hexdigest()]

    def look(
        self,
        chunk: Chunk,
        a: NDArray[np.uint8],
        b: NDArray[np.uint8],
        tolerance: tuple[float, float] | None,
    ) -> Figures:
        """The figures of a chunk, the next one."""
        figures = compared(chunk, a, b, tolerance)
        if self._hashes:
            if self._are_equal and figures.different:
                self._hashes[1] = self._hashes[0].copy()
                self._are_equal = False
            self._hashes[0].update(a)
            if not self._are_equal:
                self._hashes[1].update(b)
        if not figures.different:
            if not figures.base:
                self.equal.append(chunk)
            return figures
        self._draw(chunk, a, b)
        return figures

    def _draw(self, chunk: Chunk, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> None:
        """Take the difference of whole rows into the sketch."""
        run = self._run
        if run is None or run.is_turned or not is_asked(run.units // run.columns, run.columns):
            return
        first, skipped = divmod(chunk.a_start - run.a_start, run.columns)
        delta = difference(chunk, a, b) if not skipped and not chunk.a_units % run.columns else None
        if delta is not None:
            self.sketch = self.sketch or Sketch(run.units // run.columns, run.columns)
            self.sketch.add(first, delta.reshape(-1, run.columns))


def _chunks(key: int, pair: Pair, opens: Opens) -> Iterator[Chunk]:
    """All that is open of a pair, in order; whole rows where they fit."""
    for number, run in enumerate(pair.runs):
        if run.is_turned:
            yield Chunk(key, run, run.a_start, run.units, run.b_start, run.units)
            continue
        size = max(1, _CHUNK // max(run.widths))
        size = max(1, size // run.columns) * run.columns if run.columns <= size else size
        for first, last in opens[key, number]:
            start = first
            while start < last:
                end = min(last, start - start % size + size)
                yield chunk_of(key, run, start, end - start)
                start = end
