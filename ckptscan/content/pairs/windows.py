"""Which windows of which weights are read, and what bytes each takes of either side."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.content.dequantize import NoFormula
from ckptscan.content.matrices import Stretch, Window
from ckptscan.content.pairs.choosing import in_turn
from ckptscan.content.pairs.fetching import Place, joined
from ckptscan.content.pairs.sampling import are_far
from ckptscan.content.pairs.values import Weights, Wish
from ckptscan.sources import Filling

# what takes as long as a block of plain tensors at hand: ranges, and of a window all the rest
_RANGES = 16
_BLOCKS = 2
_WIDE = (2, 2048)  # rows and columns of a window whose rows lie in one piece
_SQUARE = (32, 128)  # of others
BAND = 1 << 20  # elements that are held at once

Stretches = list[Stretch]
Both = tuple[Stretches, Stretches]


class Job(NamedTuple):
    """A window of one of a pair's matrices."""

    key: int
    number: int
    window: Window


def chosen(
    a: Place, b: Place, pairs: Mapping[int, Weights], wish: Wish, most: int, reach: int
) -> Iterator[Job]:
    """Windows of as many pairs as the budget allows: one of each first, then more of each.

    `reach` is in blocks, or in requests where one side lies elsewhere; the first of each file is
    two, as it has to be found.
    """
    left, is_far = reach, are_far(a, b)
    known: set[tuple[str, str]] = set()
    turns = list(in_turn(pairs, wish.seed))
    for level in range(wish.samples):
        before = left
        for key in turns:
            job = _drawn(key, pairs[key], random.Random(f"{wish.seed}:{key}:{level}"))
            both = needed(pairs[key], job)
            if both is None:
                continue
            costs = [_cost(*side) for side in zip((a, b), both, strict=True)]
            new = {path for one in costs for path in one.far} - known
            ranges = sum(one.ranges for one in costs)
            count = ranges + len(new) if is_far else _BLOCKS + ranges // _RANGES
            nbytes = sum(one.nbytes for one in costs)
            if nbytes <= most and count <= left:
                most, left = most - nbytes, left - count
                known |= new
                yield job
        if left == before:
            return


class _Cost(NamedTuple):
    """How many ranges are read, at most how many bytes, and of which files that lie elsewhere."""

    ranges: int
    nbytes: int
    far: frozenset[tuple[str, str]] = frozenset()


def _cost(place: Place, wanted: Stretches) -> _Cost:
    """What reading these stretches costs."""
    if isinstance(place.side.source, Filling):
        return _Cost(len(wanted), sum(length for _, _, length in wanted))
    ranges = list(joined([(*place.at(row, at), size) for row, at, size in wanted], place.gap))
    far = frozenset((place.side.name, one.path) for one in ranges)
    return _Cost(len(ranges), sum(one.length + place.gap for one in ranges), far)


def _drawn(key: int, pair: Weights, draw: random.Random) -> Job:
    """A window of a pair at random."""
    number = draw.randrange(len(pair.a))
    one, two = pair.a[number], pair.b[number]
    size = _WIDE if one.is_wide and two.is_wide else _SQUARE
    if not one.is_wide and not two.is_wide:
        size = _WIDE[1], _WIDE[0]
    tiles = _tiles(pair, number)
    top, bottom = _span(one.shape[0], tiles[0], size[0], draw)
    wanted = max(1, min(size[1], size[0] * size[1] // (bottom - top)))  # heads have many rows
    left, right = _span(one.shape[1], tiles[1], wanted, draw)
    return Job(key, number, Window(top, bottom, left, right))


def _tiles(pair: Weights, number: int) -> tuple[int, int]:
    """What rows and columns of a window are multiples of; whole heads where rows are permuted."""
    rows, columns = zip(pair.a[number].tile, pair.b[number].tile, strict=True)
    return math.lcm(*rows, pair.rows or 1), math.lcm(*columns)


def _span(total: int, tile: int, wanted: int, draw: random.Random) -> tuple[int, int]:
    """Where a window begins and ends along one axis."""
    tiles, slots = -(-wanted // tile), -(-total // tile)
    start = draw.randrange(max(1, slots - tiles + 1)) * tile
    return start, min(total, start + tiles * tile)


def bands(key: int, pair: Weights) -> Iterator[Job]:
    """All of a pair, as many rows at once as can be held; parts of rows that are too long."""
    for number, matrix in enumerate(pair.a):
        rows, columns = matrix.shape
        high, wide = _tiles(pair, number)
        width = min(columns, max(1, BAND // (high * wide)) * wide)
        step = max(1, BAND // (high * width)) * high
        for top in range(0, rows, step):
            for left in range(0, columns, width):
                window = Window(top, min(rows, top + step), left, min(columns, left + width))
                yield Job(key, number, window)


def needed(pair: Weights, job: Job) -> Both | None:
    """The bytes of both sides that a window takes; None where they are more than can be held."""
    try:
        ours, theirs = (side[job.number].needs(job.window) for side in (pair.a, pair.b))
    except NoFormula:
        return None
    return ours, theirs
