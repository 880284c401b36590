"""Many changes -> few patterns: `model.layers.{0-31}.mlp.*` where all tensors below are meant.

A pattern covers nothing but what it stands for: it is folded only where every tensor of the side
below it, at these indices, is among those that are told.
"""

from __future__ import annotations

import os
from collections import defaultdict
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


def segments_of(part: Part) -> Segments:
    """The segments of a part's pattern as it is stored, after `component/` in a pipeline."""
    family = part.unit.family
    component = (f"{family.component}/",) if family.component else ()
    return (*component, *family.pattern.split("."))


def fold(parts: Sequence[Part], everything: Everything) -> list[Folded]:
    """The fewest patterns for these tensors, in natural order."""
    if len(parts) > _MOST_PARTS:
        return [_alone(part) for part in parts]
    found = list(_folded([(segments_of(part), part) for part in parts], (), everything))
    return sorted(_braced(found), key=lambda one: natural_key(".".join(one.segments)))


def _folded(
    parts: Sequence[tuple[Segments, Part]], prefix: Segments, everything: Everything
) -> Iterator[Folded]:
    """The patterns below a prefix; one, where all tensors there are meant."""
    size = len(prefix)
    if len(parts) == 1 or size >= _DEEPEST:
        yield from (_alone(part) for _, part in parts)
        return
    stars = prefix_stars(prefix)
    leading = _leading(parts, stars)
    tensors = sum(part.tensors for _, part in parts)
    if all(len(segments) > size for segments, _ in parts) and tensors == everything.count(
        prefix, leading
    ):
        widths = [axis.width for axis in parts[0][1].unit.family.axes]
        axes = tuple(
            IndexSet.of(numbers, width) for numbers, width in zip(leading, widths, strict=False)
        )
        nbytes = sum(part.nbytes for _, part in parts)
        yield Folded(prefix, axes, is_whole=True, tensors=tensors, nbytes=nbytes)
        return
    by_next: dict[str, list[tuple[Segments, Part]]] = defaultdict(list)
    for segments, part in parts:
        if len(segments) > size:
            by_next[segments[size]].append((segments, part))
        else:
            yield _alone(part)
    for segment, held in by_next.items():
        yield from _folded(held, (*prefix, segment), everything)


def prefix_stars(segments: Segments) -> int:
    """How many indices stand in these segments; an escaped star is none."""
    return sum(segment.count("*") - segment.count("\\*") for segment in segments)


def _leading(parts: Sequence[tuple[Segments, Part]], stars: int) -> tuple[frozenset[int], ...]:
    """The first so many indices of all parts."""
    owns = [part.own for _, part in parts]
    return tuple(frozenset().union(*(own.axes[place] for own in owns)) for place in range(stars))


def _alone(part: Part) -> Folded:
    return Folded(segments_of(part), part.axes, False, part.tensors, part.nbytes)


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
    is_name = place < len(segments) and "*" not in segments[place]
    if not is_name or any("{" in segment for segment in segments):
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


def alternatives(words: Sequence[str]) -> str:
    """Names in braces, what they share once: `{k,q,v}_proj`, `{input,post_attention}_layernorm`."""
    names = sorted(dict.fromkeys(words), key=natural_key)
    if len(names) == 1:
        return names[0]
    end = os.path.commonprefix([name[::-1] for name in names])[::-1]
    end = end[end.index("_") :] if "_" in end else ""
    cut = [name[: len(name) - len(end)] for name in names]
    if not all(cut):
        end, cut = "", names
    return "{" + ",".join(cut) + "}" + end
