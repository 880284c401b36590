"""The child that spoils a layout: repairing it makes the layout simple.

A majority is no guide where layers are of several kinds. What is odd is a child of a kind of its
own, without which the order of the kinds is told in fewer letters: uniform, two runs, a period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ckptscan.structure.layout import describe

MIN_CHILDREN = 5
MIN_FOR_PAIRS = 8
_MOST_KINDS = 24  # a container of more kinds has no layout to spoil
_MOST_CHILDREN = 512
_BORDER = 3  # first and last children that may be of a kind of their own by design
_MOST_ODD = 4  # places that are repaired in one container


class Odd(NamedTuple):
    """Places (not indices) that are odd, and the kind that they would have to be of.

    `is_simple` tells that the layout is simple after all repairs; `is_end` that it is the first or
    the last child, where being odd proves little; `is_repeated` that other children are alike.
    """

    places: tuple[int, ...]
    like: int
    is_simple: bool = True
    is_end: bool = False
    is_repeated: bool = False


def find_odd(kinds: Sequence[int]) -> list[Odd]:
    """The odd ones in a row of kinds."""
    counts = Counter(kinds)
    size = len(kinds)
    if not MIN_CHILDREN <= size <= _MOST_CHILDREN or not 1 < len(counts) <= _MOST_KINDS:
        return []
    left, inner = _repaired(list(kinds), counts)
    is_simple = _is_simple(left)
    found = [odd._replace(is_simple=is_simple) for odd in inner]
    if not is_simple:
        found += _strange(left, {place for odd in inner for place in odd.places})
    found += _ends(left)
    found += _scattered(left)
    return sorted(found)


def _cost(kinds: Sequence[int]) -> int:
    return sum(len(run.letters) for run in describe(list(map(str, kinds))))


def _is_simple(kinds: Sequence[int]) -> bool:
    runs = describe(list(map(str, kinds)))
    return len(runs) <= 3 and 2 * sum(len(run.letters) for run in runs) <= len(kinds)


def _repaired(kinds: list[int], counts: Counter[int]) -> tuple[list[int], list[Odd]]:
    """The row with its odd children replaced, one at a time, while that makes it simpler."""
    found: list[Odd] = []
    cost = _cost(kinds)
    for _ in range(_MOST_ODD):
        best = min(_repairs(kinds, counts), default=None)
        if best is None or best[0] > cost - 2:
            break
        cost, _, places, like = best
        for spot in places:
            kinds[spot] = like
        found.append(Odd(places, like))
    return kinds, found


def _repairs(
    kinds: Sequence[int], counts: Counter[int]
) -> Iterator[tuple[int, int, tuple[int, ...], int]]:
    """What each repair of one place, or of two adjacent ones, costs."""
    common = [kind for kind, count in counts.most_common(6) if count > 1]
    for start in range(1, len(kinds) - 1):
        if counts[kinds[start]] > 2 or start == 0:
            continue
        for width in (1, 2) if len(kinds) >= MIN_FOR_PAIRS else (1,):
            places = tuple(range(start, start + width))
            if places[-1] >= len(kinds) - 1 or not _is_own(kinds, places, counts):
                continue
            for like in common:
                if like not in {kinds[place] for place in places}:
                    row = [*kinds[:start], *[like] * width, *kinds[start + width :]]
                    yield _cost(row), width, places, like


def _is_own(kinds: Sequence[int], places: Sequence[int], counts: Counter[int]) -> bool:
    """Whether the kinds at these places stand nowhere else."""
    here = Counter(kinds[place] for place in places)
    return all(counts[kind] == count for kind, count in here.items())


def _strange(kinds: Sequence[int], known: set[int]) -> Iterator[Odd]:
    """Single children of a row that has no simple layout; like whom, is for shapes to tell."""
    counts = Counter(kinds)
    common = [kind for kind, count in counts.most_common(6) if count > 2]
    for place in range(1, len(kinds) - 1):
        if counts[kinds[place]] == 1 and place not in known:
            for like in common:
                yield Odd((place,), like, is_simple=False)


def _ends(kinds: Sequence[int]) -> Iterator[Odd]:
    """Single children at the border of a row, with those that they might have been like."""
    counts = Counter(kinds)
    size = len(kinds)
    for place in sorted({*range(_BORDER), *range(size - _BORDER, size)}):
        if counts[kinds[place]] == 1:
            beside = [kinds[at] for at in (place - 1, place + 1) if 0 <= at < size]
            for like in dict.fromkeys((*beside, *(kind for kind, _ in counts.most_common(4)))):
                if counts[like] > 2:
                    yield Odd((place,), like, is_end=True)


def _is_irregular(places: Sequence[int]) -> bool:
    """Whether no design puts layers of a kind there: neither in a row nor at one distance."""
    steps = {after - before for before, after in pairwise(places)}
    return len(steps) > 1 and len(places) > 2


def _scattered(kinds: Sequence[int]) -> Iterator[Odd]:
    """Children of one kind, few and far between, in a row that has another kind almost only."""
    counts = Counter(kinds)
    if len(counts) < 2 or len(describe(list(map(str, kinds)))) < 3:
        return
    (most, _), *others = counts.most_common()
    for kind, count in others:
        places = tuple(place for place, own in enumerate(kinds) if own == kind)
        is_few = 8 * count <= len(kinds) or (4 * count <= len(kinds) and _is_irregular(places))
        if count > 1 and is_few and places[0] and places[-1] < len(kinds) - 1:
            yield Odd(places, most, is_simple=False, is_repeated=True)
