"""Scales, zero points and other books of packed weights: they go with their weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ckptscan.structure.match.exact import by_number, same_named
from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.values import MODULE, Match, Part, Side, Unit

Segments = tuple[str, ...]
_DEEPEST = 4  # segments of a book below its module: weight.quant_state.bitsandbytes__nf4


def match_books(a: Side, b: Side, found: Sequence[Match]) -> Iterator[Match]:
    """Matches of books: those of changed weights are changed with them, others by name.

    What a weight that was packed anew, joined or split no longer needs has one side alone.
    """
    changed_a, changed_b, homes = _homes(found)
    yield from (Match((part,), (), is_book=True) for part in _outdated(a, changed_a))
    yield from (Match((), (part,), is_book=True) for part in _outdated(b, changed_b))
    ours, theirs = list(a.open_books()), list(b.open_books())
    for one, two in same_named(a, b, ours, theirs, lambda segments: segments):
        for mine, other, how in by_number(one, two):
            yield Match((mine,), (other,), how)

    def moved(segments: Segments) -> Segments:
        for size in range(1, min(_DEEPEST, len(segments)) + 1):
            if segments[:-size] in homes:
                return (*homes[segments[:-size]], *segments[-size:])
        return segments

    for one, two in same_named(a, b, list(a.open_books()), list(b.open_books()), moved):
        yield Match((one,), (two,), MODULE)


_Changed = dict[Segments, list[Part]]


def _outdated(side: Side, changed: _Changed) -> Iterator[Part]:
    """Books of weights that are packed anew, taken."""
    for unit in list(side.open_books()):
        for region in _of_changed(unit, changed):
            common = side.left(unit).meet(region)
            if len(common):
                yield side.take(unit, common)


def _homes(
    found: Sequence[Match],
) -> tuple[_Changed, _Changed, dict[Segments, Segments]]:
    """Modules of A and B whose weights are packed anew; and A's modules -> those of B."""
    changed_a: _Changed = defaultdict(list)
    changed_b: _Changed = defaultdict(list)
    homes: dict[Segments, Segments] = {}
    for match in found:
        is_one = len(match.a) == len(match.b) == 1 and not match.composed
        if match.a and match.b and (not is_one or is_repacked(match.a[0].unit, match.b[0].unit)):
            for part in match.a:
                changed_a[part.unit.module].append(part)
            for part in match.b:
                changed_b[part.unit.module].append(part)
        elif is_one:
            homes.setdefault(match.a[0].unit.module, match.b[0].unit.module)
    return changed_a, changed_b, homes


def _of_changed(unit: Unit, changed: _Changed) -> Iterator[Region]:
    """The index tuples of a book whose weights are packed anew."""
    for size in range(1, min(_DEEPEST, len(unit.segments)) + 1):
        for part in changed.get(unit.segments[:-size], ()):
            if part.unit.stars == unit.stars:
                yield part.region
        if unit.segments[:-size] in changed:
            return


def is_repacked(one: Unit, two: Unit) -> bool:
    """Whether two units of one weight are packed in different ways."""
    return scheme_of(one) != scheme_of(two)


def scheme_of(unit: Unit) -> tuple[object, ...]:
    """How the weights of a unit are packed; empty for plain ones."""
    how = unit.packing
    return (how.scheme, how.bits, how.group) if how else ()
