"""PyTorch's caching allocator on paper: which bytes a run of allocations takes on a card.

The rules are those of c10/cuda/CUDACachingAllocator.cpp: sizes are rounded to 512 bytes; up to
1 MiB come from segments of 2 MiB, up to 10 MiB from segments of 20 MiB, larger ones from segments
of their own, rounded to 2 MiB. The smallest free block that fits is taken, and split where enough
is left. `torch.cuda.memory_allocated` is the sum of the blocks, not of what was asked for.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

MIB = 1 << 20
ROUND = 512  # kMinBlockSize
SMALL = MIB  # kSmallSize: the largest request of the small pool
SMALL_SEGMENT = 2 * MIB  # kSmallBuffer
LARGE_SEGMENT = 20 * MIB  # kLargeBuffer
MIN_LARGE = 10 * MIB  # kMinLargeAlloc: from here a segment is as large as its request
ROUND_LARGE = 2 * MIB  # kRoundLarge

Handle = int


@dataclass(slots=True)
class _Block:
    """A piece of a segment; neighbours are known so that free ones can be joined."""

    start: int
    size: int
    is_small: bool
    is_free: bool = False
    before: _Block | None = None
    after: _Block | None = None


@dataclass
class Allocator:
    """One card's allocator; `max_split` (bytes) keeps larger blocks whole, as max_split_size_mb.

    `allocated` is what memory_allocated says, `reserved` what memory_reserved says; the peaks are
    the largest values that they had.
    """

    max_split: int | None = None
    allocated: int = 0
    reserved: int = 0
    peak: int = 0
    peak_reserved: int = 0
    requested: int = 0
    _used: dict[Handle, _Block] = field(default_factory=dict)
    _sizes: dict[Handle, int] = field(default_factory=dict)
    _free: dict[bool, list[tuple[int, int]]] = field(default_factory=lambda: {True: [], False: []})
    _at: dict[int, _Block] = field(default_factory=dict)
    _next: int = 0
    _end: int = 0

    def allocate(self, nbytes: int) -> Handle:
        """Take so many bytes; gives what `free` takes back."""
        size = rounded(nbytes)
        is_small = size <= SMALL
        block = self._fitting(size, is_small) or self._segment(size, is_small)
        if self._is_split(block, size):
            self._split(block, size)
        block.is_free = False
        self._next += 1
        self._used[self._next] = block
        self._sizes[self._next] = nbytes
        self._count(block.size, nbytes)
        return self._next

    def allocate_alike(self, nbytes: int, count: int) -> None:
        """Take so many bytes, so many times, for good.

        Requests that get segments of their own are counted at once, if no free block can hold one.
        """
        size = rounded(nbytes)
        is_alone = size >= MIN_LARGE and self._fitting(size, is_small=False, is_taken=False) is None
        segment = _segment_size(size)
        if not is_alone or self._leaves(segment, size, is_small=False):
            for _ in range(count):
                self.allocate(nbytes)
            return
        self._end += segment * count
        self.reserved += segment * count
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self._count(segment * count, nbytes * count)

    def free(self, handle: Handle) -> None:
        """Give back what was taken; free neighbours of one segment are joined."""
        block = self._used.pop(handle)
        self.requested -= self._sizes.pop(handle)
        self.allocated -= block.size
        block.is_free = True
        for other in (block.before, block.after):
            if other is not None and other.is_free:
                self._forget(other)
                block = _joined(*sorted((block, other), key=lambda one: one.start))
        self._remember(block)

    def empty_cache(self) -> None:
        """Give segments that nothing lies in back to the card, as torch.cuda.empty_cache does."""
        whole = [
            block
            for pool in self._free.values()
            for _, start in pool
            if (block := self._at[start]).before is None and block.after is None
        ]
        for block in whole:
            self._forget(block)
            self.reserved -= block.size

    def _count(self, nbytes: int, requested: int) -> None:
        self.requested += requested
        self.allocated += nbytes
        self.peak = max(self.peak, self.allocated)

    def _fitting(self, size: int, is_small: bool, is_taken: bool = True) -> _Block | None:
        """The smallest free block that holds this size, taken out of the free ones."""
        pool = self._free[is_small]
        place = bisect_left(pool, (size, -1))
        if place == len(pool):
            return None
        found = pool[place][0]
        if self.max_split is not None and not is_small:
            if size < self.max_split <= found:
                return None  # a small request leaves a block alone that may not be split
            if size >= self.max_split and found >= size + LARGE_SEGMENT:
                return None
        block = self._at[pool[place][1]]
        if is_taken:
            self._forget(block)
        return block

    def _segment(self, size: int, is_small: bool) -> _Block:
        nbytes = SMALL_SEGMENT if is_small else _segment_size(size)
        block = _Block(self._end, nbytes, is_small)
        self._end += nbytes + ROUND  # segments are no neighbours
        self.reserved += nbytes
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        return block

    def _is_split(self, block: _Block, size: int) -> bool:
        return self._leaves(block.size, size, block.is_small)

    def _leaves(self, whole: int, size: int, is_small: bool) -> bool:
        """Whether what a request leaves of a block becomes a free block of its own."""
        if is_small:
            return whole - size >= ROUND
        is_whole = self.max_split is not None and size >= self.max_split
        return not is_whole and whole - size > SMALL

    def _split(self, block: _Block, size: int) -> None:
        rest = _Block(
            block.start + size,
            block.size - size,
            block.is_small,
            is_free=True,
            before=block,
            after=block.after,
        )
        if block.after is not None:
            block.after.before = rest
        block.after, block.size = rest, size
        self._remember(rest)

    def _remember(self, block: _Block) -> None:
        insort(self._free[block.is_small], (block.size, block.start))
        self._at[block.start] = block

    def _forget(self, block: _Block) -> None:
        pool = self._free[block.is_small]
        del pool[bisect_left(pool, (block.size, block.start))]
        del self._at[block.start]


def rounded(nbytes: int) -> int:
    """What the allocator rounds a request to: a multiple of 512 bytes, at least one."""
    return max(ROUND, -(-nbytes // ROUND) * ROUND)


def _segment_size(size: int) -> int:
    """The bytes of a new segment of the large pool."""
    if size < MIN_LARGE:
        return LARGE_SEGMENT
    return -(-size // ROUND_LARGE) * ROUND_LARGE


def _joined(first: _Block, second: _Block) -> _Block:
    """Two free neighbours as one block."""
    first.size += second.size
    first.after = second.after
    if second.after is not None:
        second.after.before = first
    return first
