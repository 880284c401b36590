"""Weights as matrices, whatever stores them: whether the numbers of both sides are the same ones.

Packed codes stand for numbers nearby. Where every number that was read lies within half a step of
the other side's, they are consistent with rounding it; methods that make up for the error of one
weight in the next ones (GPTQ) go further, but not far; methods that scale channels first (AWQ) are
seen by scaling them back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptscan.content.dequantize import NoFormula
from ckptscan.content.matrices import Cells, Matrix
from ckptscan.content.pairs.choosing import in_turn
from ckptscan.content.pairs.fetching import FAR_GAP, Place
from ckptscan.content.pairs.fits import FAR_OFF, Seen, best
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
from ckptscan.content.pairs.windows import BAND, Both, Job, Stretches, bands, chosen, needed
from ckptscan.content.reading import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH = 2048  # stretches that are read at once
_UNLIKE = 0.5  # relative difference from which numbers are others; 1.41 is chance


def sample_weights(
    a: Place, b: Place, pairs: Mapping[int, Weights], wish: Wish, reach: int, spent: int = 0
) -> Reading:
    """What so many blocks or requests show of these weights, in windows.

    Raises SourceError that names the side.
    """
    if not wish.samples:
        return _left(pairs, UNASKED)
    most = (MOST if wish.most is None else wish.most) - spent
    a.gap = b.gap = FAR_GAP  # the rows of a window lie apart
    jobs = list(chosen(a, b, pairs, wish, most, reach))
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
    taken = []
    for key in in_turn(pairs, wish.seed):
        nbytes = pairs[key].nbytes
        if nbytes <= left:
            left -= nbytes
            taken.append(key)
    progress.begin(sum(pairs[key].nbytes for key in taken))
    readings = []
    try:
        for key in sorted(taken):
            some = {key: pairs[key]}
            readings.append(_judged_all(a, b, some, list(bands(key, pairs[key]))))
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


def _judged_all(a: Place, b: Place, pairs: Mapping[int, Weights], jobs: Sequence[Job]) -> Reading:
    """What these windows say of each pair."""
    seen: dict[int, list[Seen]] = {}
    odd: dict[int, str] = {}
    before = a.nbytes + b.nbytes
    for batch in _batches(pairs, jobs):
        held = _read(a, [one[1][0] for one in batch]), _read(b, [one[1][1] for one in batch])
        for job, _ in batch:
            pair = pairs[job.key]
            try:
                ours = _cells(pair.a[job.number], job, a, held[0])
                theirs = _cells(pair.b[job.number], job, b, held[1])
            except NoFormula as none:
                odd[job.key] = str(none)
                continue
            seen.setdefault(job.key, []).append(best(ours, theirs, pair))
    found = {
        key: _judged(pair, seen[key])
        if key in seen and key not in odd
        else Found(reason=odd.get(key, BUDGET))
        for key, pair in pairs.items()
    }
    is_open = (OPEN, SAMPLED)
    wanted = sum(
        pairs[key].nbytes
        for key, one in found.items()
        if one.state in is_open or (one.state == CONSISTENT and one.proof == "sample")
    )
    return Reading(found, a.nbytes + b.nbytes - before, wanted)


def _batches(pairs: Mapping[int, Weights], jobs: Iterable[Job]) -> Iterator[list[tuple[Job, Both]]]:
    """Windows with what they take, so many that it can be held."""
    held: list[tuple[Job, Both]] = []
    count = nbytes = 0
    for job in jobs:
        both = needed(pairs[job.key], job)
        if both is None:
            continue
        count += sum(map(len, both))
        nbytes += sum(length for side in both for _, _, length in side)
        held.append((job, both))
        if count > _BATCH or nbytes > BAND:
            yield held
            held, count, nbytes = [], 0, 0
    if held:
        yield held


_Held = dict[tuple[str, int, int], bytes]


def _read(place: Place, wanted: Iterable[Stretches]) -> _Held:
    """The bytes of some stretches of tensors."""
    stretches = [(*place.at(row, at), size) for some in wanted for row, at, size in some]
    place.spare = len(stretches) * place.gap  # as was counted on
    return place.read(stretches)


def _cells(matrix: Matrix, job: Job, place: Place, held: _Held) -> Cells:
    """The numbers of a window, from bytes that were read."""
    import numpy as np

    def take(row: int, start: int, length: int) -> NDArray[np.uint8]:
        path, at = place.at(row, start)
        return np.frombuffer(held[path, at, length], "u1")

    with np.errstate(all="ignore"):
        return matrix.cells(job.window, take)


def _judged(pair: Weights, seen: Sequence[Seen]) -> Found:
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
    is_quiet = figures.squares <= FAR_OFF**2 * figures.noise
    return is_quiet and figures.relative < _UNLIKE
