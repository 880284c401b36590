"""Many changes -> few patterns: `model.layers.{0-31}.mlp.*` where all tensors below are meant.

A pattern covers nothing but what it stands for: it is folded only where every tensor of the side
below it, at these indices, is among those that are told.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptscan.names import IndexSet, natural_key
from ckptscan.structure.match import Part, Region

_DEEPEST = 16  # segments to which is folded; deeper names are told as they are
_MOST_PARTS = 2000  # more are told one by one
_LONGEST = 60  # characters of alternatives in braces

Segments = tuple[str, ...]


class Folded(NamedTuple):
    """Tensors under one pattern: stars stand for `axes`; `is_whole` for all that is below it.

    `alternatives` may stand in a segment: `{k,q,v}_proj`.
    """

    segments: Segments
    axes: tuple[IndexSet, ...]
    is_whole: bool
    tensors: int
    nbytes: int


class Everything:
    """All tensors of one side, against which patterns are folded."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._below: dict[Segments, list[tuple[Region, int]]] = defaultdict(list)
        for part in parts:
            segments = segments_of(part)[:_DEEPEST]
            held = part.own, part.unit.copies
            for size in range(len(segments) + 1):
                self._below[segments[:size]].append(held)

    def count(self, prefix: Segments, leading: Sequence[frozenset[int]]) -> int:
        """How many tensors there are below a prefix at these indices."""
        below = self._below.get(prefix, ())
        return sum(region.within(leading) * copies for region, copies in below)

    def tally(
        self, prefix: Segments, place: int, leading: Sequence[frozenset[int]]
    ) -> Counter[int]:
        """The same for each number on an axis."""
        found: Counter[int] = Counter()
        for region, copies in self._below.get(prefix, ()):
            for number, count in region.tally(place, leading).items():
                found[number] += count * copies
        return found


def segments_of(part: Part) -> Segments:
    """The segments of a part's pattern as it is stored, after `component/` in a pipeline."""
    family = part.unit.family
    component = (f"{family.component}/",) if family.component else ()
    return (*component, *family.pattern.split("."))


class _Piece(NamedTuple):
    """Tensors of one family that are to be told: their segments, indices and sizes."""

    segments: Segments
    region: Region
    copies: int
    each: int
    widths: tuple[int, ...]

    @property
    def tensors(self) -> int:
        return len(self.region) * self.copies

    @property
    def nbytes(self) -> int:
        return self.tensors * self.each


def fold(parts: Sequence[Part], everything: Everything) -> list[Folded]:
    """The fewest patterns for these tensors, in natural order."""
    pieces = list(map(_piece, parts))
    if len(parts) > _MOST_PARTS:
        return list(map(_alone, pieces))
    found = list(_folded(pieces, (), everything))
    return sorted(_braced(found), key=_order)


def _order(one: Folded) -> tuple[object, ...]:
    return natural_key(".".join(one.segments)), [axis.ranges for axis in one.axes]


def _piece(part: Part) -> _Piece:
    family = part.unit.family
    widths = tuple(axis.width for axis in family.axes)
    return _Piece(segments_of(part), part.own, family.copies, family.kind.nbytes, widths)


def _folded(pieces: Sequence[_Piece], prefix: Segments, everything: Everything) -> Iterator[Folded]:
    """The patterns below a prefix; one, where all tensors there are meant."""
    size = len(prefix)
    if len(pieces) == 1 or size >= _DEEPEST:
        yield from map(_alone, pieces)
        return
    deeper = [one for one in pieces if len(one.segments) > size]
    yield from (_alone(one) for one in pieces if len(one.segments) == size)
    if len(deeper) == len(pieces):
        if _is_all(pieces, prefix, everything):
            yield _whole(pieces, prefix)
            return
        if prefix[-1:] == ("*",):
            covered = _covered(pieces, prefix, everything)
            if covered:
                place = prefix_stars(prefix) - 1
                yield _whole([_narrowed(one, place, covered) for one in pieces], prefix)
                deeper = [_without(one, place, covered) for one in pieces]
    by_next: dict[str, list[_Piece]] = defaultdict(list)
    for one in deeper:
        if len(one.region):
            by_next[one.segments[size]].append(one)
    for segment, held in by_next.items():
        yield from _folded(held, (*prefix, segment), everything)


def _is_all(pieces: Sequence[_Piece], prefix: Segments, everything: Everything) -> bool:
    """Whether nothing else lies below a prefix at the indices of these pieces."""
    leading = _leading(pieces, prefix_stars(prefix))
    return sum(one.tensors for one in pieces) == everything.count(prefix, leading)


def _covered(pieces: Sequence[_Piece], prefix: Segments, everything: Everything) -> frozenset[int]:
    """The last indices of a prefix below which everything is meant, though not below others."""
    place = prefix_stars(prefix) - 1
    leading = _leading(pieces, place)
    meant: Counter[int] = Counter()
    for one in pieces:
        for number, count in one.region.tally(place, leading).items():
            meant[number] += count * one.copies
    there = everything.tally(prefix, place, leading)
    return frozenset(number for number, count in meant.items() if count == there[number])


def _narrowed(piece: _Piece, place: int, numbers: Iterable[int]) -> _Piece:
    return piece._replace(region=piece.region.narrowed(place, frozenset(numbers)))


def _without(piece: _Piece, place: int, numbers: frozenset[int]) -> _Piece:
    rest = piece.region.axes[place] - numbers
    return piece._replace(region=piece.region.narrowed(place, rest))


def _whole(pieces: Sequence[_Piece], prefix: Segments) -> Folded:
    held = [one for one in pieces if len(one.region)]
    leading = _leading(held, prefix_stars(prefix))
    axes = tuple(
        IndexSet.of(numbers, width) for numbers, width in zip(leading, held[0].widths, strict=False)
    )
    tensors, nbytes = sum(one.tensors for one in held), sum(one.nbytes for one in held)
    return Folded(prefix, axes, is_whole=True, tensors=tensors, nbytes=nbytes)


def prefix_stars(segments: Segments) -> int:
    """How many indices stand in these segments; an escaped star is none."""
    return sum(segment.count("*") - segment.count("\\*") for segment in segments)


def _leading(pieces: Sequence[_Piece], stars: int) -> tuple[frozenset[int], ...]:
    """The first so many indices of all pieces."""
    return tuple(
        frozenset().union(*(one.region.axes[place] for one in pieces)) for place in range(stars)
    )


def _alone(one: _Piece) -> Folded:
    axes = tuple(
        IndexSet.of(numbers, width)
        for numbers, width in zip(one.region.axes, one.widths, strict=True)
    )
    return Folded(one.segments, axes, is_whole=False, tensors=one.tensors, nbytes=one.nbytes)


def _braced(found: Sequence[Folded]) -> list[Folded]:
    """Patterns that differ in one segment as one with alternatives."""
    left = list(found)
    longest = max((len(one.segments) for one in left), default=0)
    for place in reversed(range(min(longest, _DEEPEST))):
        together: dict[object, list[Folded]] = defaultdict(list)
        for one in left:
            together[_key(one, place)].append(one)
        left = [one for some in together.values() for one in _joined(some, place)]
    return left


def _key(one: Folded, place: int) -> object:
    """What patterns have in common that differ in one segment; of others, nothing."""
    segments = one.segments
    if place >= len(segments) or any(char in segments[place] for char in "*{"):
        return id(one)
    return segments[:place], segments[place + 1 :], one.axes, one.is_whole


def _joined(some: Sequence[Folded], place: int) -> list[Folded]:
    if len(some) == 1:
        return list(some)
    text = alternatives([one.segments[place] for one in some])
    if len(text) > _LONGEST:
        return list(some)
    first = some[0]
    segments = (*first.segments[:place], text, *first.segments[place + 1 :])
    tensors, nbytes = sum(one.tensors for one in some), sum(one.nbytes for one in some)
    return [first._replace(segments=segments, tensors=tensors, nbytes=nbytes)]


def _common_end(names: Sequence[str]) -> str:
    """What all names end with."""
    shortest = min(names, key=len)
    for size in range(len(shortest)):
        end = shortest[size:]
        if all(name.endswith(end) for name in names):
            return end
    return ""


def alternatives(words: Sequence[str]) -> str:
    """Names in braces, what they share once: `{k,q,v}_proj`, `{input,post_attention}_layernorm`."""
    names = sorted(dict.fromkeys(words), key=natural_key)
    if len(names) == 1:
        return names[0]
    end = _common_end(names)
    end = end[end.index("_") :] if "_" in end else ""
    cut = [name[: len(name) - len(end)] for name in names]
    if not all(cut):
        end, cut = "", names
    return "{" + ",".join(cut) + "}" + end
