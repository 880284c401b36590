"""Which bytes are read, in which order: tensors -> pieces -> blocks of files."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ckptscan.content.measuring import PAGE
from ckptscan.content.values import Sample
from ckptscan.header import LENGTH
from ckptscan.table import Shard, Tensor, TensorTable

LARGEST = 1 << 40  # bytes of one tensor; what is noted of its pages takes 150 MB
TOO_LARGE = f"it has more than {LARGEST:,} bytes"
MOST_CHOSEN = 1 << 20  # pages of one tensor that a sample may choose


class Piece(NamedTuple):
    """Bytes of one tensor: its row, where they begin in it, how many, and where in the block."""

    row: int
    start: int
    length: int
    at: int = 0


class Block(NamedTuple):
    """Bytes of a file that are read at once, and the pieces of tensors in them.

    `turn` is where the hash of the whole file must have come to, None where it is not taken.
    """

    path: str
    start: int
    length: int
    pieces: tuple[Piece, ...] = ()
    turn: int | None = None


class Sizes(NamedTuple):
    """How many bytes are read at once, and how many are one page."""

    block: int
    page: int = PAGE


def faults_of(table: TensorTable, shard: Shard) -> dict[int, str]:
    """The rows of a file that can't be read as what they claim to be, and why."""
    found: dict[int, str] = {}
    reached = 0
    data = LENGTH + shard.header_size
    for row in sorted(shard.rows, key=lambda row: (table.starts[row], table.ends[row])):
        reason = _fault(table[row], data, shard.file_size, reached)
        if reason:
            found[row] = reason
        else:
            reached = max(reached, table.ends[row])
    return found


def _fault(tensor: Tensor, data: int, size: int, reached: int) -> str:
    if tensor.end < tensor.start:
        return "it ends before it begins"
    if data + tensor.end > size:
        return "it lies past the end of its file"
    if tensor.nbytes > LARGEST:
        return TOO_LARGE
    if tensor.start < reached and tensor.nbytes:
        return "it overlaps the tensor before it"
    bits = tensor.dtype.bits
    if bits is not None and tensor.nbytes * 8 != tensor.numel * bits:
        return "its bytes are not those of its shape and dtype"
    return "" if tensor.nbytes else "it has no elements"


def spans(tensor: Tensor, sizes: Sizes, sample: Sample | None) -> Iterator[tuple[int, int]]:
    """The parts of a tensor that are read, in order, as start and length; none above a block."""
    nbytes = tensor.nbytes
    if sample is None or tensor.dtype.bits == 6:  # 6 bits: whole only, pages cut them
        for start in range(0, nbytes, sizes.block):
            yield start, min(sizes.block, nbytes - start)
        return
    most = sizes.block // sizes.page
    run: list[int] = []
    for page in (*chosen_pages(tensor.name, nbytes, sizes.page, sample), -1):
        if run and (page != run[-1] + 1 or len(run) == most):
            start = run[0] * sizes.page
            yield start, min((run[-1] + 1) * sizes.page, nbytes) - start
            run = []
        run.append(page)


def chosen_pages(name: str, nbytes: int, page: int, sample: Sample) -> Sequence[int]:
    """The pages of a tensor that a sample reads: the first, the last, and some in between."""
    pages = -(-nbytes // page)
    if sample.share is not None:
        wanted = math.ceil(pages * min(sample.share, 100.0) / 100)
    else:
        wanted = -(-(sample.nbytes or 0) // page)
    wanted = min(max(wanted, 2), MOST_CHOSEN)
    if pages <= wanted:
        return range(pages)
    draw = random.Random(f"{sample.seed}:{name}")
    return sorted({0, pages - 1, *draw.sample(range(1, pages - 1), wanted - 2)})


def sampled_bytes(tensor: Tensor, sizes: Sizes, sample: Sample | None) -> int:
    """How many bytes of a tensor are read."""
    return sum(length for _, length in spans(tensor, sizes, sample)) if sample else tensor.nbytes


class Plan(NamedTuple):
    """What is to be read of one file: rows in the order of their bytes, and whether to hash it.

    `is_done` tells of a row and a start in it whether that piece need not be read.
    """

    table: TensorTable
    shard: Shard
    rows: Sequence[int]
    is_done: Callable[[int, int], bool]
    sample: Sample | None
    hashed: bool

    def blocks(self, sizes: Sizes) -> Iterator[Block]:
        """The blocks of the file, in order; where it is hashed, they cover all of it."""
        if not self.hashed:
            yield from _joined(self.shard.path, self._pieces(sizes), sizes)
            return
        reached = 0
        for block in _joined(self.shard.path, self._pieces(sizes), sizes):
            yield from self._filler(reached, block.start, sizes)
            yield block._replace(turn=block.start)
            reached = block.start + block.length
        yield from self._filler(reached, self.shard.file_size, sizes)

    def _filler(self, start: int, end: int, sizes: Sizes) -> Iterator[Block]:
        for at in range(start, end, sizes.block):
            yield Block(self.shard.path, at, min(sizes.block, end - at), (), at)

    def _pieces(self, sizes: Sizes) -> Iterator[tuple[int, Piece]]:
        """The pieces that are to be read, each with where it begins in the file."""
        data = LENGTH + self.shard.header_size
        for row in self.rows:
            tensor = self.table[row]
            for start, length in spans(tensor, sizes, self.sample):
                if not self.is_done(row, start):
                    yield data + tensor.start + start, Piece(row, start, length)


def _joined(path: str, pieces: Iterator[tuple[int, Piece]], sizes: Sizes) -> Iterator[Block]:
    """Pieces that touch, as one block while they fit."""
    held: list[Piece] = []
    begin = reached = 0
    for at, piece in pieces:
        if held and (at != reached or at + piece.length - begin > sizes.block):
            yield Block(path, begin, reached - begin, tuple(held))
            held = []
        if not held:
            begin = at
        held.append(piece._replace(at=at - begin))
        reached = at + piece.length
    if held:
        yield Block(path, begin, reached - begin, tuple(held))
