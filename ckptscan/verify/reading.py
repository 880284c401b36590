"""Bytes of the picks, read by several threads into memory that is used again."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ckptscan.content.measuring import CHUNK
from ckptscan.content.streams import Hand, crew_of, renewal_of, sizes_of, wait_for
from ckptscan.header import LENGTH
from ckptscan.sources import Source
from ckptscan.table import TensorTable
from ckptscan.verify.values import Pick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

A = TypeVar("A")
B = TypeVar("B")


class Batch(NamedTuple):
    """Bytes of a file from `start` on, and the picks that lie in them end to end.

    Several picks have no more bytes together than are read at once; a larger one stands alone.
    """

    path: str
    start: int
    nbytes: int
    picks: tuple[Pick, ...]


def batches_of(table: TensorTable, picks: Iterable[Pick], most: int) -> Iterator[Batch]:
    """Picks in the order of their bytes; those that touch together, up to so many bytes."""
    held: Batch | None = None
    for pick in picks:
        shard = table.shards[table.shard_of(pick.row)]
        start = LENGTH + shard.header_size + table.starts[pick.row] + pick.start
        if held is not None and _touches(held, shard.path, start, pick, most):
            nbytes, members = held.nbytes + pick.nbytes, (*held.picks, pick)
            held = held._replace(nbytes=nbytes, picks=members)
            continue
        if held is not None:
            yield held
        held = Batch(shard.path, start, pick.nbytes, (pick,))
    if held is not None:
        yield held


def _touches(held: Batch, path: str, start: int, pick: Pick, most: int) -> bool:
    is_next = held.path == path and held.start + held.nbytes == start
    return is_next and held.nbytes + pick.nbytes <= most


class Stretch(NamedTuple):
    """Bytes of a file that are read at once."""

    path: str
    start: int
    nbytes: int


def stretches_of(batch: Batch, most: int) -> Iterator[Stretch]:
    """A batch in pieces of at most so many bytes, each of whole elements."""
    for start in range(0, batch.nbytes, most):
        yield Stretch(batch.path, batch.start + start, min(most, batch.nbytes - start))


class Share(NamedTuple):
    """What of one pick lies in a stretch: from `start` in the pick, at `here` in the stretch."""

    start: int
    nbytes: int
    here: slice


def shares_of(batch: Batch, one: Stretch) -> list[Share]:
    """The share of each pick of a batch in a stretch of it."""
    if len(batch.picks) == 1:
        return [Share(one.start - batch.start, one.nbytes, slice(0, one.nbytes))]
    found, reached = [], 0
    for pick in batch.picks:
        found.append(Share(0, pick.nbytes, slice(reached, reached + pick.nbytes)))
        reached += pick.nbytes
    return found


class Meter(NamedTuple):
    """Bytes and the seconds that they took."""

    nbytes: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Bytes a second; None where nothing was measured."""
        return self.nbytes / self.seconds if self.nbytes and self.seconds > 0 else None

    def plus(self, nbytes: int, seconds: float) -> Meter:
        """With so many more."""
        return Meter(self.nbytes + nbytes, self.seconds + seconds)


class Reader:
    """Reads stretches for many threads at once, each with files open of its own."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.threads = crew_of(source)
        self._own = threading.local()
        self._lock = threading.Lock()
        self.most = sizes_of(source).block // CHUNK * CHUNK
        self.meter = Meter()
        self.renew = renewal_of(source)

    def read(self, one: Stretch, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The bytes, at the beginning of the buffer, and in the meter; fewer where the file ends.

        Raises SourceError.
        """
        begun = time.perf_counter()
        raw = self.again(one, buffer)
        self.count(len(raw), (time.perf_counter() - begun) / self.threads)
        return raw

    def count(self, nbytes: int, seconds: float) -> None:
        """So many bytes were read, in so many seconds of all threads together."""
        with self._lock:
            self.meter = self.meter.plus(nbytes, seconds)

    def again(self, one: Stretch, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The same, but not in the meter: what was read before is nearer the second time."""
        if not hasattr(self._own, "hand"):
            self._own.hand = Hand(self._source, sizes_of(self._source))
        hand: Hand = self._own.hand
        got = hand.fill(one.path, one.start, buffer[: one.nbytes])
        return buffer[:got]

    def rest(self) -> None:
        """Let go of the file that this thread has open."""
        if hasattr(self._own, "hand"):
            self._own.hand.close()
            del self._own.hand


class InOrder(Generic[A, B]):
    """A task for each input, by several threads, its results in the order of the inputs.

    At most `ahead` inputs are begun whose results nobody has taken yet. Threads are daemons, so
    that an interrupt ends the process at once; `is_over` tells long tasks that nobody waits for
    them any more. `last` is called by each thread at its end.
    """

    def __init__(
        self,
        task: Callable[[A], B],
        threads: int,
        ahead: int,
        last: Callable[[], None] = lambda: None,
    ) -> None:
        self._task = task
        self._count = threads
        self._last = last
        self._free = threading.Semaphore(max(ahead, threads))
        self._lock = threading.Lock()
        self.is_over = threading.Event()
        self._results = queue.SimpleQueue[queue.SimpleQueue[B | BaseException] | None]()

    def run(self, inputs: Iterable[A]) -> Iterator[B]:
        """The results. Raises what a task raised."""
        waiting = iter(inputs)
        threads = [
            threading.Thread(target=self._work, args=(waiting,), daemon=True)
            for _ in range(self._count)
        ]
        for thread in threads:
            thread.start()
        left = self._count
        try:
            while left:
                place = self._results.get()
                if place is None:
                    left -= 1
                    continue
                result = place.get()
                self._free.release()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            self.is_over.set()
            self._free.release(self._count)
            wait_for(threads)

    def _work(self, waiting: Iterator[A]) -> None:
        while True:
            self._free.acquire()
            with self._lock:  # places are queued in the order of the inputs
                one = [] if self.is_over.is_set() else list(islice(waiting, 1))
                if not one:
                    break
                place = queue.SimpleQueue[B | BaseException]()
                self._results.put(place)
            try:
                place.put(self._task(one[0]))
            except BaseException as error:  # raised again by whoever waits
                self.is_over.set()
                place.put(error)
        self._free.release()
        self._last()
        self._results.put(None)
