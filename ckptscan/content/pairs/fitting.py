"""Weights as matrices, whatever stores them: whether the numbers of both sides are the same ones.

Packed codes stand for numbers nearby. Where every number that was read lies within half a step of
the other side's, they are consistent with rounding it; methods that make up for the error of one
weight in the next ones (GPTQ) go further, but not far; methods that scale channels first (AWQ) are
seen by scaling them back.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.matrices import Cells, Matrix, Window
from ckptscan.content.pairs.bits import number_figures
from ckptscan.content.pairs.choosing import in_turn
from ckptscan.content.pairs.fetching import GAP, Place, joined
from ckptscan.content.pairs.sampling import BUDGET, MOST, ORDER, UNASKED
from ckptscan.content.pairs.values import (
    CHANGED,
    CONSISTENT,
    OPEN,
    SAME,
    SAMPLED,
    Figures,
    Fit,
    Found,
    Reading,
    Weights,
    Wish,
    missed,
)
from ckptscan.content.reading import Progress
from ckptscan.sources import Filling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_NEAR = 30_000  # ranges of files; a few seconds of work
_FAR = 1024  # where each is a request
_WIDE = (2, 2048)  # rows and columns of a window whose rows lie in one piece
_SQUARE = (32, 128)  # of others
_BAND = 1 << 20  # elements that are held at once
_BATCH = 2048  # stretches that are read at once
# of a number: what scales that were rounded to BF16, and numbers that were, may be off
_ROUNDING = 2.0**-8
_UNLIKE = 0.5  # relative difference from which numbers are others; 1.41 is chance
_FAR_OFF = 3.0  # times the error of plain rounding that making up for errors may leave
_LEAST = 16  # rows or columns below which scales of channels would fit anything
_ROUNDS = 3


class _Job(NamedTuple):
    """A window of one of a pair's matrices."""

    key: int
    number: int
    window: Window


def sample_weights(
    a: Place, b: Place, pairs: Mapping[int, Weights], wish: Wish, spent: int = 0
) -> Reading:
    """What some windows of these weights say. Raises SourceError that names the side."""
    if not wish.samples:
        return _left(pairs, UNASKED)
    most = (MOST if wish.most is None else wish.most) - spent
    jobs = list(_chosen(a, b, pairs, wish, most))
    return _judged_all(a, b, pairs, jobs)


def compare_weights(
    a: Place,
    b: Place,
    pairs: Mapping[int, Weights],
    wish: Wish,
    progress: Progress,
    spent: int = 0,
) -> Reading:
    """What all numbers of these weights say. Raises SourceError that names the side."""
    left = math.inf if wish.most is None else wish.most - spent
    chosen = []
    for key in in_turn(pairs, wish.seed):
        nbytes = pairs[key].nbytes
        if nbytes <= left:
            left -= nbytes
            chosen.append(key)
    progress.begin(sum(pairs[key].nbytes for key in chosen))
    readings = []
    try:
        for key in sorted(chosen):
            some = {key: pairs[key]}
            readings.append(_judged_all(a, b, some, list(_bands(key, pairs[key]))))
            progress.advance(pairs[key].nbytes)
    finally:
        progress.end()
    found = {**_left(pairs, BUDGET).found}
    for one in readings:
        found |= one.found
    wanted = sum(pairs[key].nbytes for key, one in found.items() if one.state == OPEN)
    return Reading(found, sum(one.nbytes for one in readings), wanted)


def _left(pairs: Mapping[int, Weights], reason: str) -> Reading:
    found = {key: Found(reason=reason) for key in pairs}
    return Reading(found, 0, sum(pair.nbytes for pair in pairs.values()))


def _chosen(
    a: Place, b: Place, pairs: Mapping[int, Weights], wish: Wish, most: int
) -> Iterator[_Job]:
    """Windows of as many pairs as the budget allows: one of each first, then more of each."""
    are_near = all(isinstance(place.side.source, Filling) for place in (a, b))
    requests = _NEAR if are_near else _FAR
    turns = list(in_turn(pairs, wish.seed))
    for level in range(wish.samples):
        for key in turns:
            job = _drawn(key, pairs[key], random.Random(f"{wish.seed}:{key}:{level}"))
            costs = [_cost(*side) for side in zip((a, b), _needed(pairs[key], job), strict=True)]
            most -= sum(nbytes for _, nbytes in costs)
            requests -= sum(count for count, _ in costs)
            if min(most, requests) < 0:
                return
            yield job


def _cost(place: Place, wanted: _Stretches) -> tuple[int, int]:
    """How many ranges are read for these stretches, and at most how many bytes."""
    if isinstance(place.side.source, Filling):
        return len(wanted), sum(length for _, _, length in wanted)
    ranges = list(joined([(*place.at(row, at), size) for row, at, size in wanted], GAP))
    return len(ranges), sum(one.length + GAP for one in ranges)


def _drawn(key: int, pair: Weights, draw: random.Random) -> _Job:
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
    return _Job(key, number, Window(top, bottom, left, right))


def _tiles(pair: Weights, number: int) -> tuple[int, int]:
    """What rows and columns of a window are multiples of; whole heads where rows are permuted."""
    rows, columns = zip(pair.a[number].tile, pair.b[number].tile, strict=True)
    return math.lcm(*rows, pair.rows or 1), math.lcm(*columns)


def _span(total: int, tile: int, wanted: int, draw: random.Random) -> tuple[int, int]:
    """Where a window begins and ends along one axis."""
    tiles, slots = -(-wanted // tile), -(-total // tile)
    start = draw.randrange(max(1, slots - tiles + 1)) * tile
    return start, min(total, start + tiles * tile)


def _bands(key: int, pair: Weights) -> Iterator[_Job]:
    """All of a pair, as many rows at once as can be held."""
    for number, matrix in enumerate(pair.a):
        rows, columns = matrix.shape
        tile = _tiles(pair, number)[0]
        step = max(1, _BAND // (tile * columns)) * tile
        for top in range(0, rows, step):
            yield _Job(key, number, Window(top, min(rows, top + step), 0, columns))


_Stretches = list[tuple[int, int, int]]


def _needed(pair: Weights, job: _Job) -> tuple[_Stretches, _Stretches]:
    """The bytes of both sides that a window takes."""
    import numpy as np

    sides: tuple[_Stretches, _Stretches] = [], []
    for matrices, asked in zip((pair.a, pair.b), sides, strict=True):

        def take(row: int, start: int, length: int, asked: _Stretches = asked) -> NDArray[np.uint8]:
            asked.append((row, start, length))
            return np.zeros(length, "u1")

        with np.errstate(all="ignore"):
            matrices[job.number].cells(job.window, take)
    return sides


def _judged_all(a: Place, b: Place, pairs: Mapping[int, Weights], jobs: Sequence[_Job]) -> Reading:
    """What these windows say of each pair."""
    seen: dict[int, list[_Seen]] = {}
    before = a.nbytes + b.nbytes
    for batch in _batches(pairs, jobs):
        held = _read(a, [one[1][0] for one in batch]), _read(b, [one[1][1] for one in batch])
        for job, _ in batch:
            pair = pairs[job.key]
            ours = _cells(pair.a[job.number], job, a, held[0])
            theirs = _cells(pair.b[job.number], job, b, held[1])
            seen.setdefault(job.key, []).append(_best(ours, theirs, pair))
    found = {
        key: _judged(pair, seen[key]) if key in seen else Found(reason=BUDGET)
        for key, pair in pairs.items()
    }
    is_open = (OPEN, SAMPLED)
    wanted = sum(
        pairs[key].nbytes
        for key, one in found.items()
        if one.state in is_open or (one.state == CONSISTENT and one.proof == "sample")
    )
    return Reading(found, a.nbytes + b.nbytes - before, wanted)


def _batches(
    pairs: Mapping[int, Weights], jobs: Iterable[_Job]
) -> Iterator[list[tuple[_Job, tuple[_Stretches, _Stretches]]]]:
    """Windows with what they take, so many that it can be held."""
    held: list[tuple[_Job, tuple[_Stretches, _Stretches]]] = []
    count = nbytes = 0
    for job in jobs:
        needed = _needed(pairs[job.key], job)
        count += sum(map(len, needed))
        nbytes += sum(length for side in needed for _, _, length in side)
        held.append((job, needed))
        if count > _BATCH or nbytes > _BAND:
            yield held
            held, count, nbytes = [], 0, 0
    if held:
        yield held


_Held = dict[tuple[str, int, int], bytes]


def _read(place: Place, wanted: Iterable[_Stretches]) -> _Held:
    """The bytes of some stretches of tensors."""
    stretches = [(*place.at(row, at), size) for some in wanted for row, at, size in some]
    place.spare = len(stretches) * GAP  # as was counted on
    return place.read(stretches)


def _cells(matrix: Matrix, job: _Job, place: Place, held: _Held) -> Cells:
    """The numbers of a window, from bytes that were read."""
    import numpy as np

    def take(row: int, start: int, length: int) -> NDArray[np.uint8]:
        path, at = place.at(row, start)
        return np.frombuffer(held[path, at, length], "u1")

    with np.errstate(all="ignore"):
        return matrix.cells(job.window, take)


class _Seen(NamedTuple):
    """What a window says: as it is, and with its rows and columns scaled to fit.

    `order` is 0 where rows lie alike on both sides.
    """

    plain: Figures
    scaled: Figures
    fit: Fit
    order: int = 0


def _best(a: Cells, b: Cells, pair: Weights) -> _Seen:
    """What a window says, in the order of rows that fits best.

    Rotary embeddings take the rows of a head half by half in Hugging Face's layout, in turn in
    Meta's.
    """
    seen = _compared(a, b, pair.dtypes)
    if not pair.rows or pair.rows % 2 or not seen.plain.changed or len(a.values) % pair.rows:
        return seen
    found = [seen]
    for order, shape in ((1, (2, pair.rows // 2)), (2, (pair.rows // 2, 2))):
        halves = None if a.halves is None else _in_turn(a.halves, shape)
        permuted = Cells(_in_turn(a.values, shape), halves)
        found.append(_compared(permuted, b, pair.dtypes)._replace(order=order))
    return min(found, key=lambda one: one.plain.squares)


def _in_turn(numbers: Numbers, shape: tuple[int, int]) -> Numbers:
    """The rows of each head, in so many runs of so many rows, with the first ones of all first."""
    runs, rows = shape
    columns = numbers.shape[1]
    heads: Numbers = numbers.reshape(-1, runs, rows, columns).transpose(0, 2, 1, 3)
    return heads.reshape(-1, columns)


def _compared(a: Cells, b: Cells, dtypes: tuple[str, str]) -> _Seen:
    """How the numbers of a window differ."""
    import numpy as np

    if a.halves is None and b.halves is None:
        ours, theirs = (np.ascontiguousarray(one.values).reshape(-1) for one in (a, b))
        flat = number_figures(dtypes, ours, theirs)
        return _Seen(flat, flat, Fit())
    none = np.zeros(a.values.shape)
    halves = (none if a.halves is None else a.halves) + (none if b.halves is None else b.halves)
    with np.errstate(all="ignore"):
        plain, fit = _fitted(a.values, b.values, halves)
        scaled = plain
        if plain.changed and plain.squares > _FAR_OFF**2 * plain.noise:
            rescaled = _rescaled(a.values, b.values)
            scaled = plain if rescaled is None else _fitted(rescaled, b.values, halves)[0]
    return _Seen(plain, scaled, fit)


def _fitted(ours: Numbers, theirs: Numbers, halves: Numbers) -> tuple[Figures, Fit]:
    """How far numbers lie from those that codes stand for."""
    import numpy as np

    gap = np.abs(theirs - ours)
    both_odd = ~np.isfinite(ours) & ~np.isfinite(theirs)
    rounding = _ROUNDING * np.maximum(np.abs(ours), np.abs(theirs))
    outside = ~(gap <= halves * 1.001 + rounding) & ~both_odd
    inexact = ~(gap <= rounding) & ~both_odd
    is_known = np.isfinite(gap)
    gap = np.where(is_known, gap, 0.0)
    steps = np.where(halves > 0, gap / (2 * halves), 0.0)
    base = np.where(is_known, ours, 0.0)
    changed = int(np.count_nonzero(outside))
    figures = Figures(
        ours.size,
        changed,
        changed,
        changed,
        float(gap.max(initial=0.0)),
        float(np.square(gap).sum()),
        float(np.square(base).sum()),
        float(np.square(halves).sum()) / 3,
    )
    return figures, Fit(float(steps.max(initial=0.0)), int(np.count_nonzero(inexact)))


def _rescaled(ours: Numbers, theirs: Numbers) -> Numbers | None:
    """A's numbers with rows and columns scaled as fits B's best; None where anything would fit."""
    import numpy as np

    if min(ours.shape) < _LEAST or not np.isfinite(ours).all() or not np.isfinite(theirs).all():
        return None
    found = ours
    for _ in range(_ROUNDS):
        for axis in (0, 1):
            weight = np.square(found).sum(axis=axis, keepdims=True)
            factor = (found * theirs).sum(axis=axis, keepdims=True) / weight
            found = found * np.where(np.isfinite(factor), factor, 1.0)
    return found


def _judged(pair: Weights, seen: Sequence[_Seen]) -> Found:
    """What the windows of a pair say of it."""
    plain, scaled = _total(one.plain for one in seen), _total(one.scaled for one in seen)
    is_whole = plain.seen >= pair.units
    proof = "bytes" if is_whole else "sample"
    told = Found(SAME, proof, len(seen) * (not is_whole), plain.seen, plain)
    told = told._replace(is_permuted=any(one.order for one in seen))
    if not pair.is_packed:
        if plain.different:
            return _differing(pair, told)
        chances = missed(plain.seen, len(seen), pair.units)
        return told if is_whole else told._replace(state=SAMPLED, missed=chances)
    fit = Fit(max(one.fit.steps for one in seen), sum(one.fit.inexact for one in seen))
    told = told._replace(state=CONSISTENT, fit=fit)
    if _is_near(plain):
        return told
    if _is_near(scaled):
        return told._replace(figures=scaled, fit=fit._replace(is_scaled=True))
    return _differing(pair, told)


def _differing(pair: Weights, told: Found) -> Found:
    """Numbers that are others, unless their order is not sure."""
    if pair.doubt and told.figures is not None and told.figures.relative >= _UNLIKE:
        return told._replace(state=OPEN, proof="", reason=ORDER, fit=None)
    return told._replace(state=CHANGED, proof="bytes", fit=None)


def _total(figures: Iterable[Figures]) -> Figures:
    total = Figures()
    for one in figures:
        total = total.plus(one)
    return total


def _is_near(figures: Figures) -> bool:
    """Whether quantization alone explains the difference."""
    if not figures.changed:
        return True
    is_quiet = figures.squares <= _FAR_OFF**2 * figures.noise
    return is_quiet and figures.relative < _UNLIKE
