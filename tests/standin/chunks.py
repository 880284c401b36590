"""Xet's way of storing files, for real content: chunks by content, each stored once, in xorbs.

The cutting is that of the public specification (a gear hash of 64 bytes, 8 to 128 KiB, about 64),
but the table of the hash is made here, so that borders lie elsewhere than the Hub's would; and ids
of files and xorbs are sha256 sums in place of the protocol's Merkle hashes. Each upload fills xorbs
of its own. Blobs of which only a head is held are stored as if nothing of them were known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from tests.standin.content import Blob

SMALLEST, LARGEST = 8 << 10, 128 << 10  # bytes of a chunk
MASK = 0xFFFF_0000_0000_0000
XORB_BYTES, XORB_CHUNKS = 64 << 20, 8192
SPARSE = 64 << 10  # bytes of each chunk of content that is nowhere held


class Run(NamedTuple):
    """Chunks of a xorb from `first` on, by their sizes."""

    xorb: str
    first: int
    sizes: Sequence[int]


def cut(data: bytes) -> Iterator[bytes]:
    """The chunks of some content."""
    ends = _marks(data)
    start = at = 0
    while start < len(data):
        end = min(start + LARGEST, len(data))
        while at < len(ends) and ends[at] < start + SMALLEST:
            at += 1
        if at < len(ends) and ends[at] < end:
            end = ends[at]
        yield data[start:end]
        start = end


def _marks(data: bytes) -> list[int]:
    """Where chunks may end, as far as the hash of the 64 bytes before tells."""
    import numpy as np

    hashed = np.array(_table(), dtype=np.uint64)[np.frombuffer(data, dtype=np.uint8)]
    for reach in (1, 2, 4, 8, 16, 32):  # a hash of 2n bytes is made of two of n
        before = hashed[:-reach] << np.uint64(reach)
        hashed = np.concatenate([hashed[:reach], hashed[reach:] + before])
    return [int(at) + 1 for at in np.flatnonzero((hashed & np.uint64(MASK)) == 0)]


def _table() -> list[int]:
    digests = (hashlib.sha256(b"standin %d" % at).digest() for at in range(256))
    return [int.from_bytes(digest[:8], "little") for digest in digests]


class Store:
    """Chunks that are stored once, by the files that were added first."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[str, int, int]] = {}  # xorb, chunk, bytes
        self._files: dict[str, list[Run]] = {}

    def add(self, blob: Blob) -> None:
        """Store a file; those of its chunks that are there already are left out."""
        if blob.file_id in self._files:
            return
        if blob.size != len(blob.head):
            self._files[blob.file_id] = []  # made when it is asked for
            return
        digests, fresh = [], []
        for chunk in cut(blob.head):
            digest = hashlib.sha256(chunk).digest()
            digests.append(digest)
            if digest not in self._known:
                fresh.append((digest, len(chunk)))
                self._known[digest] = ("", 0, len(chunk))
        self._fill(fresh)
        self._files[blob.file_id] = _runs(self._known[digest] for digest in digests)

    def _fill(self, fresh: Sequence[tuple[bytes, int]]) -> None:
        """Put chunks into new xorbs."""
        while fresh:
            count = nbytes = 0
            while count < min(len(fresh), XORB_CHUNKS) and nbytes < XORB_BYTES - LARGEST:
                nbytes += fresh[count][1]
                count += 1
            taken, fresh = fresh[:count], fresh[count:]
            xorb = hashlib.sha256(b"xorb" + b"".join(digest for digest, _ in taken)).hexdigest()
            self._known |= {digest: (xorb, at, size) for at, (digest, size) in enumerate(taken)}

    def runs(self, blob: Blob) -> Sequence[Run]:
        """Where a file that was added lies."""
        return self._files[blob.file_id] or list(_sparse(blob))


def _runs(chunks: Iterator[tuple[str, int, int]]) -> list[Run]:
    """Chunks that follow each other in a xorb, as runs."""
    found: list[tuple[str, int, list[int]]] = []
    for xorb, at, size in chunks:
        if found and found[-1][0] == xorb and found[-1][1] + len(found[-1][2]) == at:
            found[-1][2].append(size)
        else:
            found.append((xorb, at, [size]))
    return [Run(*one) for one in found]


def _sparse(blob: Blob) -> Iterator[Run]:
    """Xorbs that nobody else has."""
    for start in range(0, blob.size, XORB_BYTES):
        size = min(XORB_BYTES, blob.size - start)
        sizes = [SPARSE] * (size // SPARSE) + ([size % SPARSE] if size % SPARSE else [])
        yield Run(hashlib.sha256(f"{blob.sha256} {start}".encode()).hexdigest(), 0, sizes)


def reconstruction(
    runs: Sequence[Run], start: int, end: int, *, is_trimmed: bool
) -> dict[str, Any]:
    """The terms of a range of a file, in the documented shape, cut to the chunks it needs."""
    terms: list[dict[str, Any]] = []
    offset = reached = 0
    for run in runs:
        first = None
        length, count, at = 0, 0, reached
        for number, size in enumerate(run.sizes):
            is_needed = at < end and at + size > start
            if is_needed or not is_trimmed:
                if first is None:
                    first = number
                    begins = at
                length += size
                count += 1
            at += size
        is_used = reached < end and at > start
        reached = at
        if first is None or not is_used:
            continue
        if not terms:
            offset = max(0, start - begins)
        chunks = {"start": run.first + first, "end": run.first + first + count}
        terms.append({"hash": run.xorb, "unpacked_length": length, "range": chunks})
    return {"offset_into_first_range": offset, "terms": terms}
