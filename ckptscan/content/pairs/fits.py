"""How far the numbers of two windows lie apart: as they are, permuted within heads, and scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.matrices import Cells
from ckptscan.content.pairs.bits import number_figures
from ckptscan.content.pairs.values import Figures, Fit, Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

FAR_OFF = 3.0  # times the error of plain rounding that making up for errors may leave
# of a number: what scales that were rounded to BF16, and numbers that were, may be off
_ROUNDING = 2.0**-8
_LEAST = 16  # rows or columns below which scales of channels would fit anything
_ROUNDS = 3


class Seen(NamedTuple):
    """What a window says: as it is, and with its rows and columns scaled to fit.

    `order` is 0 where rows lie alike on both sides.
    """

    plain: Figures
    scaled: Figures
    fit: Fit
    order: int = 0


def best(a: Cells, b: Cells, pair: Weights) -> Seen:
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


def _compared(a: Cells, b: Cells, dtypes: tuple[str, str]) -> Seen:
    """How the numbers of a window differ."""
    import numpy as np

    if a.halves is None and b.halves is None:
        ours, theirs = (np.ascontiguousarray(one.values).reshape(-1) for one in (a, b))
        flat = number_figures(dtypes, ours, theirs)
        return Seen(flat, flat, Fit())
    none = np.zeros(a.values.shape)
    halves = (none if a.halves is None else a.halves) + (none if b.halves is None else b.halves)
    with np.errstate(all="ignore"):
        plain, fit = _fitted(a.values, b.values, halves)
        scaled = plain
        if plain.changed and plain.squares > FAR_OFF**2 * plain.noise:
            rescaled = _rescaled(a.values, b.values)
            scaled = plain if rescaled is None else _fitted(rescaled, b.values, halves)[0]
    return Seen(plain, scaled, fit)


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
