"""Where files are stored: the xorbs and chunks that hold their bytes, as Xet's protocol tells it.

A xorb is a store of chunks, named by a hash of all that is in it; a term says that a stretch of a
file is a run of its chunks, and how many bytes they have together. Where one chunk ends and the
next begins is not told. So two stretches of the same run hold the same bytes: what follows from
that is worked out in `content.xet`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from ckptscan.sources.base import Source

UNTOLD = "its source does not tell where it is stored"


class Term(NamedTuple):
    """Chunks `first` to before `last` of a xorb have `length` bytes, unpacked."""

    xorb: str
    first: int
    last: int
    length: int


class Segment(NamedTuple):
    """Bytes `start` to before `end` of a file: they lie in a term, from its byte `skip` on."""

    start: int
    end: int
    term: Term
    skip: int = 0


class Terms(NamedTuple):
    """Where a file is stored: its segments from its first byte to its last, without a gap.

    `borders` are further terms that are true of the same xorbs. `problem` says why nothing is
    known; then there are no segments.
    """

    size: int
    segments: tuple[Segment, ...] = ()
    borders: tuple[Term, ...] = ()
    problem: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the segments are all of the file, each within its term."""
        reached = 0
        for start, end, term, skip in self.segments:
            is_within = skip >= 0 and skip + end - start <= term.length
            if start != reached or end <= start or not is_within:
                return False
            reached = end
        return self.problem is None and reached == self.size


class Doubt(NamedTuple):
    """A file of known terms, and offsets in it around which its chunks should be told."""

    path: str
    terms: Terms
    offsets: tuple[int, ...]


@runtime_checkable
class Stored(Source, Protocol):
    """A source that may tell where its files are stored."""

    def terms(self, paths: Sequence[str]) -> Iterator[tuple[str, Terms]]:
        """Files with their terms, as they come in; each file once. Raises no SourceError."""

    def link(self, doubts: Sequence[Doubt]) -> Iterator[tuple[str, Terms]]:
        """The same with further borders: those of the chunks around some offsets.

        One request for each offset. Raises no SourceError: then there are no more than before.
        """


def read_terms(source: Source, paths: Sequence[str]) -> Iterator[tuple[str, Terms]]:
    """Files with their terms, side by side where the source can; in any order.

    What can't be had is no error: its `problem` says why.
    """
    if isinstance(source, Stored):
        yield from source.terms(paths)
    else:
        for path in paths:
            yield path, Terms(0, problem=UNTOLD)


def read_borders(source: Source, doubts: Sequence[Doubt]) -> Iterator[tuple[str, Terms]]:
    """Files with their terms and, where their source tells, further borders of their chunks."""
    if isinstance(source, Stored):
        yield from source.link(doubts)
