"""Whether dequantized weights are as large as their like: the same role in other layers.

A rule of thumb, so that what it says is estimated. Scales of zero, scales of a hundred times what
they were and scales in the wrong byte order are far beyond its bounds; layers of trained models
that play one role are within a few times of one another.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_APART = 4.0  # powers of two from the median of the like: 16 times
_SPREADS = 6.0  # or so many of their own median deviations, where they are spread wide
_UNEVEN = 3.0  # powers of two that half of the rows or columns are off their median
_FEWEST = 3  # of one role, so that the median is not that of the odd one
_LEAST, _MOST = -24.0, 10.0  # powers of two within which weights of any trained model are


class Size(NamedTuple):
    """How large some weights are: the root of their mean square, and how it differs within them.

    `uneven` are powers of two that half of the rows, or columns, are off the median one. `odd`
    elements are no numbers; `rms` is None where none is.
    """

    name: str
    role: str
    rms: float | None
    uneven: float = 0.0
    odd: int = 0


class Doubt(NamedTuple):
    """A weight that is not as its like are, in words; whether that is proved, or estimated."""

    name: str
    said: str
    label: str = "estimated"


def size_of(name: str, role: str, numbers: NDArray[np.floating]) -> Size:
    """The size of a matrix of weights."""
    import numpy as np

    wide = numbers.astype("f8")
    finite = np.isfinite(wide)
    odd = wide.size - int(np.count_nonzero(finite))
    if odd == wide.size:
        return Size(name, role, None, odd=odd)
    squares = np.where(finite, wide, 0.0) ** 2
    rms = math.sqrt(float(squares.sum()) / (wide.size - odd))
    uneven = max(_unevenness(squares.mean(axis=axis)) for axis in (0, 1))
    return Size(name, role, rms, uneven, odd)


def _unevenness(squares: NDArray[np.float64]) -> float:
    """The median deviation of sizes, in powers of two; zeros are left out."""
    import numpy as np

    held = 0.5 * np.log2(squares[squares > 0])
    return float(np.median(np.abs(held - np.median(held)))) if len(held) else 0.0


class _Like(NamedTuple):
    """Weights of one role: how many, the median of their sizes in powers of two, what is near."""

    weights: int
    middle: float
    bound: float


def doubts(sizes: Iterable[Size]) -> Iterator[Doubt]:
    """The weights that can't be what a quantizer wrote, or are far from their like."""
    every = list(sizes)
    roles: dict[str, list[float]] = {}
    for one in every:
        if one.rms:
            roles.setdefault(one.role, []).append(math.log2(one.rms))
    like = {role: _like(held) for role, held in roles.items()}
    for one in every:
        said = _said(one, like.get(one.role))
        if one.odd:
            yield Doubt(one.name, f"{one.odd:,} dequantized weights are no numbers", "exact")
        elif said:
            yield Doubt(one.name, said)


def _like(sizes: list[float]) -> _Like:
    middle = median(sizes)
    spread = median(abs(size - middle) for size in sizes)
    return _Like(len(sizes), middle, max(_APART, _SPREADS * spread))


def _said(one: Size, like: _Like | None) -> str:
    """What is odd about the size of a weight, "" for nothing."""
    has_like = like is not None and like.weights >= _FEWEST
    if not one.rms:
        return "the dequantized weights that were looked at are all zero" if has_like else ""
    size = math.log2(one.rms)
    if not _LEAST <= size <= _MOST:
        return f"dequantized weights have an rms of {one.rms:.3g}, which no trained layer has"
    if one.uneven > _UNEVEN:
        times = 2**one.uneven
        return f"half of its rows or columns are {times:,.0f} times off the median one"
    if like is None or not has_like or abs(size - like.middle) <= like.bound:
        return ""
    side = "above" if size > like.middle else "below"
    much = f"{2 ** abs(size - like.middle):,.0f} times {side}"
    return f"its rms of {one.rms:.3g} is {much} the median of {like.weights:,} {one.role}"
