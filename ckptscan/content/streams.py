"""Blocks of files as bytes: into memory that is used again where the source can, in threads."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.blocks import Block, Sizes
from ckptscan.content.measuring import CHUNK
from ckptscan.sources import Fetching, Filling, Opened, Source, Timed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOCAL = Sizes(CHUNK)
REMOTE = Sizes(2 * CHUNK)
MOST_LOCAL = 4  # threads; two make 4 GB/s of BF16, which is what memory gives here
MOST_REMOTE = 6
GRACE = 2.0  # seconds that threads have, all together, to end what they are at


def sizes_of(source: Source) -> Sizes:
    """How much of a source is read at once."""
    return LOCAL if isinstance(source, Filling) else REMOTE


def crew_of(source: Source) -> int:
    """How many threads read a source."""
    if isinstance(source, Filling):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
        return min(MOST_LOCAL, cores or os.cpu_count() or 1)
    return MOST_REMOTE if isinstance(source, Fetching) else 1


def renewal_of(source: Source) -> Callable[[], None]:
    """What begins the time limit of a source anew: it is for what no byte comes of, not for all.

    Ask for it once, not for each block: isinstance with a protocol takes 50 us.
    """
    return source.renew if isinstance(source, Timed) else lambda: None


def wait_for(threads: Sequence[threading.Thread], seconds: float = GRACE) -> None:
    """Until threads end, but all together for no longer than so many seconds."""
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


class Hand:
    """What one thread reads with: one open file, one buffer."""

    def __init__(self, source: Source, sizes: Sizes) -> None:
        self._source = source
        self._filling = source if isinstance(source, Filling) else None
        self._sizes = sizes
        self._buffer: NDArray[np.uint8] | None = None
        self._path = ""
        self._opened: Opened | None = None

    def read(self, path: str, start: int, length: int) -> NDArray[np.uint8]:
        """Bytes of a file, until the next call; fewer where it ends. Raises SourceError."""
        import numpy as np

        if self._filling is None:
            return np.frombuffer(self._source.read(path, start, length), "u1")
        if self._buffer is None:
            self._buffer = np.empty(self._sizes.block, "u1")
        return self._buffer[: self.fill(path, start, self._buffer[:length])]

    def fill(self, path: str, start: int, into: NDArray[np.uint8]) -> int:
        """Read bytes of a file into memory; gives how many came. Raises SourceError."""
        import numpy as np

        if self._filling is None:
            raw = np.frombuffer(self._source.read(path, start, len(into)), "u1")
            into[: len(raw)] = raw
            return len(raw)
        if self._opened is None or self._path != path:
            self.close()
            self._opened, self._path = self._filling.open_file(path), path
        return self._opened.fill(start, into.data)

    def close(self) -> None:
        """Let go of the file."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None


class Read(NamedTuple):
    """A block that was read, and what was made of it."""

    block: Block
    nbytes: int


class Stream:
    """Threads that read blocks and give them away; the order is that of the blocks, nearly.

    `take` gets a block with its bytes, in whichever thread has read it.
    """

    def __init__(
        self,
        source: Source,
        blocks: Iterator[Block],
        take: Callable[[Block, NDArray[np.uint8]], None],
        sizes: Sizes,
    ) -> None:
        self._source = source
        self._blocks = blocks
        self._take = take
        self._sizes = sizes
        self._renew = renewal_of(source)
        self._lock = threading.Lock()
        self._done = queue.SimpleQueue[Read | BaseException | None]()
        self.is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    def run(self) -> Iterator[Read]:
        """The blocks as they are done. Raises what a thread raised.

        Where it is left early, threads end what they are at, but not for longer than GRACE.
        """
        crew = crew_of(self._source)
        self._renew()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(crew)]
        for thread in self._threads:
            thread.start()
        try:
            while crew:
                found = self._done.get()
                if isinstance(found, BaseException):
                    raise found
                if found is None:
                    crew -= 1
                else:
                    self._renew()
                    yield found
        finally:
            self.is_over.set()
            wait_for(self._threads)

    def _next(self) -> Block | None:
        with self._lock:
            return next(self._blocks, None)

    def _work(self) -> None:
        hand = Hand(self._source, self._sizes)
        try:
            while not self.is_over.is_set() and (block := self._next()) is not None:
                raw = hand.read(block.path, block.start, block.length)
                self._take(block, raw)
                self._done.put(Read(block, len(raw)))
            self._done.put(None)
        except BaseException as error:  # raised again by whoever waits
            self.is_over.set()
            self._done.put(error)
        finally:
            with suppress(OSError):
                hand.close()
