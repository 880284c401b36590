"""Terms of files -> which of their bytes are the same, without a byte being read.

Chunks of a xorb lie one after the other, so that each border between two has a place; a term says
how far two borders are apart. All terms of all files that are compared, taken together, place the
borders that they link on one line; a stretch of a file is then a span of a line, and two stretches
of the same span are the same bytes. Borders that no terms link lie on lines of their own, and
nothing is said of spans on different lines: that bytes differ is never proved here.

Terms of one xorb that contradict each other can't all be true: then nothing is said of that xorb.
What is proved is proved as far as the servers that tell the terms are honest, as with digests.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from itertools import count, pairwise
from typing import NamedTuple, TypeVar

from ckptscan.sources.terms import Segment, Term, Terms

_NOWHERE = -1  # the line of what nothing is known of

K = TypeVar("K", bound=Hashable)


class Span(NamedTuple):
    """So many bytes from a place on a line; bytes of equal spans are equal."""

    line: int
    start: int
    length: int


class Stretch(NamedTuple):
    """Bytes `start` to before `end` of a file; `file` is what it is called here."""

    file: Hashable
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start


class Question(NamedTuple):
    """Where a file should be asked which chunk lies there."""

    file: Hashable
    offset: int


class _Map(NamedTuple):
    """A file from its first byte to its last: where each piece starts, its line and place."""

    size: int
    starts: list[int]
    lines: list[int]
    places: list[int]


class Whereabouts:
    """Where the bytes of some files lie, by the terms of all of them.

    Files are named by any key that is hashable, such as (side, path).
    """

    def __init__(self, files: Mapping[K, Terms]) -> None:
        places, self.contradicted = _placed(files.values())
        self._borders = {border for borders in places.values() for border in borders.values()}
        self._xorbs = {
            line: xorb for xorb, borders in places.items() for line, _ in borders.values()
        }
        self._maps: dict[Hashable, _Map] = {
            name: _mapped(terms, places) for name, terms in files.items() if terms.is_whole
        }

    def spans(self, stretch: Stretch) -> tuple[Span, ...] | None:
        """The spans of a stretch, as long as they can be; None where one is not known.

        Stretches are proved equal where their spans are, so that these may serve as a key.
        """
        found = []
        for span in self._pieces(stretch):
            if span.line == _NOWHERE:
                return None
            found.append(span)
        return tuple(found)

    def proves_equal(self, a: Stretch, b: Stretch) -> bool:
        """Whether two stretches are proved to hold the same bytes; False proves nothing."""
        if a.length != b.length:
            return False
        spans = self.spans(a)
        return spans is not None and spans == self.spans(b)

    def unproved(self, a: Stretch, b: Stretch) -> list[tuple[int, int]]:
        """The parts of two stretches of one length that are not proved equal.

        Each is a start and an end, counted from where the stretches begin.
        """
        open_parts: list[tuple[int, int]] = []
        reached = 0
        for one, other in _side_by_side(self._pieces(a), self._pieces(b)):
            end = reached + one.length
            if one.line == _NOWHERE or one != other:
                if open_parts and open_parts[-1][1] == reached:
                    open_parts[-1] = open_parts[-1][0], end
                else:
                    open_parts.append((reached, end))
            reached = end
        return open_parts

    def questions(
        self, pairs: Iterable[tuple[Stretch, Stretch]], asked: Container[Question] = ()
    ) -> list[Question]:
        """What would show whether pairs that may be equal are: chunks of xorbs that they share.

        Each pair of lines is asked about once, at a place that was not `asked` about before: where
        both files have the same chunk there, the lines become one. Those that most bytes hang on
        come first.
        """
        found: dict[tuple[int, int], list[Question]] = {}
        weights: Counter[tuple[int, int]] = Counter()
        for a, b in pairs:
            reached = 0
            for one, other in _side_by_side(self._pieces(a), self._pieces(b)):
                lines = min(one.line, other.line), max(one.line, other.line)
                if self._may_be_one(*lines):
                    weights[lines] += one.length
                    if lines not in found:
                        found[lines] = self._open((a, one), (b, other), reached=reached)
                        if any(question in asked for question in found[lines]):
                            del found[lines]
                reached += one.length
        heaviest = sorted(found, key=lambda lines: -weights[lines])
        return list(dict.fromkeys(question for lines in heaviest for question in found[lines]))

    def _open(self, *ends: tuple[Stretch, Span], reached: int) -> list[Question]:
        """Questions about a place in two files, where no border between chunks is known there."""
        return [
            Question(stretch.file, stretch.start + reached)
            for stretch, span in ends
            if (span.line, span.start) not in self._borders
        ]

    def _may_be_one(self, line: int, other: int) -> bool:
        """Whether two lines are of one xorb, and nothing links them."""
        return line not in (_NOWHERE, other) and self._xorbs[line] == self._xorbs[other]

    def _pieces(self, stretch: Stretch) -> Iterator[Span]:
        """The spans that a stretch consists of; they have its length in all."""
        start, end = stretch.start, stretch.end
        found = self._maps.get(stretch.file)
        if found is None or not 0 <= start <= end <= found.size:
            if start < end:
                yield Span(_NOWHERE, 0, end - start)
            return
        at = bisect_right(found.starts, start) - 1
        while start < end:
            following = found.starts[at + 1] if at + 1 < len(found.starts) else found.size
            stop = min(end, following)
            place = found.places[at] + start - found.starts[at]
            yield Span(found.lines[at], place, stop - start)
            start, at = stop, at + 1


def proved_equal(a: Terms, range_a: tuple[int, int], b: Terms, range_b: tuple[int, int]) -> bool:
    """Whether bytes of one file, from a start to an end, are proved equal to bytes of another.

    For many ranges make one `Whereabouts` of all files.
    """
    both = Whereabouts({"a": a, "b": b})
    return both.proves_equal(Stretch("a", *range_a), Stretch("b", *range_b))


def _side_by_side(ones: Iterator[Span], others: Iterator[Span]) -> Iterator[tuple[Span, Span]]:
    """Two rows of spans cut so that both have the same lengths."""
    one, other = next(ones, None), next(others, None)
    while one and other:
        length = min(one.length, other.length)
        yield one._replace(length=length), other._replace(length=length)
        one = _after(one, length) or next(ones, None)
        other = _after(other, length) or next(others, None)


def _after(span: Span, length: int) -> Span | None:
    """What is left of a span after so many bytes."""
    left = span.length - length
    return Span(span.line, span.start + length, left) if left else None


# xorb -> chunk -> the line that its first byte lies on, and the place there
_Places = Mapping[str, Mapping[int, tuple[int, int]]]


def _placed(files: Iterable[Terms]) -> tuple[_Places, frozenset[str]]:
    """The places of all borders that terms tell of, and the xorbs that they contradict in."""
    lengths: dict[str, dict[tuple[int, int], int]] = {}
    contradicted = set()
    for terms in files:
        for xorb, first, last, length in _told(terms):
            told = lengths.setdefault(xorb, {}).setdefault((first, last), length)
            if told != length:
                contradicted.add(xorb)
    lines = count()
    places = {}
    for xorb, runs in lengths.items():
        found = None if xorb in contradicted else _lined_up(runs, lines)
        if found is None:
            contradicted.add(xorb)
        else:
            places[xorb] = found
    return places, frozenset(contradicted)


def _told(terms: Terms) -> Iterator[Term]:
    yield from (segment.term for segment in terms.segments)
    yield from terms.borders


def _lined_up(
    runs: Mapping[tuple[int, int], int], lines: Iterator[int]
) -> dict[int, tuple[int, int]] | None:
    """Borders by chunk with their lines and places; None where the lengths of runs contradict."""
    links: dict[int, list[tuple[int, int]]] = {}
    for (first, last), length in runs.items():
        links.setdefault(first, []).append((last, length))
        links.setdefault(last, []).append((first, -length))
    placed: dict[int, tuple[int, int]] = {}
    for chunk in links:
        if chunk in placed:
            continue
        linked = _linked_to(chunk, links)
        if linked is None:
            return None
        line = next(lines)
        placed.update((border, (line, place)) for border, place in linked.items())
    return placed


def _linked_to(chunk: int, links: Mapping[int, list[tuple[int, int]]]) -> dict[int, int] | None:
    """The places of all borders that are linked to one; None where they contradict."""
    placed = {chunk: 0}
    waiting = deque([chunk])
    while waiting:
        here = waiting.popleft()
        for there, distance in links[here]:
            place = placed[here] + distance
            if there not in placed:
                waiting.append(there)
            if placed.setdefault(there, place) != place:
                return None
    borders = sorted(placed)
    # each chunk has a byte at least
    is_in_order = all(
        placed[after] - placed[before] >= after - before for before, after in pairwise(borders)
    )
    return placed if is_in_order else None


def _mapped(terms: Terms, places: _Places) -> _Map:
    """A file's segments on their lines, those joined that go on where the one before ends."""
    found = _Map(terms.size, [], [], [])
    line_before, place_before = _NOWHERE, 0
    for segment in terms.segments:
        line, place = _of(segment, places)
        if not found.starts or line != line_before or (line >= 0 and place != place_before):
            found.starts.append(segment.start)
            found.lines.append(line)
            found.places.append(place)
        line_before, place_before = line, place + segment.end - segment.start
    return found


def _of(segment: Segment, places: _Places) -> tuple[int, int]:
    """The line and place of a segment's first byte."""
    borders = places.get(segment.term.xorb)
    if borders is None:
        return _NOWHERE, 0
    line, place = borders[segment.term.first]
    return line, place + segment.skip
