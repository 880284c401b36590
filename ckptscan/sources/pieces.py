"""Files of which any range can be had: a Place that needs but one function to read them."""

from __future__ import annotations

from collections.abc import Callable

from ckptscan.errors import SourceUnreachable, SourceUnreadable
from ckptscan.header import LENGTH, wanted
from ckptscan.sources.access import Watch
from ckptscan.sources.answers import ENDLESS
from ckptscan.sources.ranged import UNKNOWN, Beginning

# path, start, length -> bytes from there, fewer than asked for where one answer is bounded, none at
# the end; and the file's size, UNKNOWN where that is not told with them. Raises SourceError.
Fetch = Callable[[str, int, int], Beginning]


class Pieces:
    """Reads what is wanted of a file, piece by piece, and holds it against the file's size."""

    def __init__(self, fetch: Fetch, watch: Watch) -> None:
        self._fetch = fetch
        self._watch = watch

    def look(self, path: str, size: int) -> Beginning:
        """Nothing: a range needs no preparation."""
        return Beginning(b"", size)

    def begin(self, path: str, size: int, guess: int) -> Beginning:
        """A weight file up to its header's end: one read where the guess holds, else two."""
        first = self._up_to(path, Beginning(b"", size), max(LENGTH, guess))
        due = wanted(first.data[:LENGTH], ENDLESS if first.size == UNKNOWN else first.size)
        return self._up_to(path, first, due)

    def whole(self, path: str, size: int, most: int) -> bytes:
        """All of a small file."""
        begun = Beginning(b"", size)
        if size == UNKNOWN:
            begun = self._piece(path, 0, most, size)
        if begun.size > most:
            raise SourceUnreadable(f"{path}: {begun.size:,} bytes are more than {most:,}")
        return self._up_to(path, begun, most).data

    def read(self, path: str, start: int, length: int, size: int) -> bytes:
        """A range of a file; may be less, and is nothing only at the end."""
        return self._piece(path, start, length, size).data

    def _up_to(self, path: str, begun: Beginning, end: int) -> Beginning:
        """The beginning, as long as it should be, or as the file is."""
        data, size = begun
        found = [data]
        reached = len(data)
        while reached < (end if size == UNKNOWN else min(end, size)):
            piece = self._piece(path, reached, end - reached, size)
            size = piece.size
            if not piece.data and size != reached:
                raise SourceUnreachable(f"{path}: it ends at {reached:,} of {size:,} bytes")
            found.append(piece.data)
            reached += len(piece.data)
        return Beginning(b"".join(found), size)

    def _piece(self, path: str, start: int, length: int, size: int) -> Beginning:
        """Some bytes, and the size that is known now."""
        if size != UNKNOWN:
            length = min(length, max(0, size - start))
        self._watch.asked()
        piece = self._fetch(path, start, length)
        self._watch.received(len(piece.data))
        if len(piece.data) > length:
            raise SourceUnreachable(
                f"{path}: {length:,} bytes are asked for, {len(piece.data):,} come"
            )
        if piece.size == UNKNOWN:
            return Beginning(piece.data, size)
        if size not in (UNKNOWN, piece.size):
            raise SourceUnreachable(
                f"{path}: {size:,} bytes are listed, now it has {piece.size:,}",
                "it was written meanwhile; read it again",
            )
        return piece
