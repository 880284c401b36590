"""What all elements of a tensor hold: counts, extremes, mean and deviation, chunk by chunk.

Chunks are bytes of any of the format's dtypes, decoded by their bits; figures of chunks add up, so
that a tensor of any size takes the memory of one chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckptscan.content.formats import INTEGERS, LAYOUTS, codes, decode, table
from ckptscan.content.measuring import CHUNK, Partial, Room, measure_all, of_counts
from ckptscan.content.values import Number
from ckptscan.dtypes import dtype as dtype_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

_DOMINATED = 1e-2  # deviations below this share of the squares lose digits when subtracted
_FEW = 1 << 16  # elements that cost nothing to look at twice


@dataclass(frozen=True)
class Figures:
    """What elements hold. `min`, `max`, `mean` and `std` are of the finite ones, None for none.

    A complex number counts as two elements, its parts.
    """

    count: int = 0
    nan: int = 0
    inf: int = 0
    zeros: int = 0
    min: Number | None = None
    max: Number | None = None
    mean: float | None = None
    std: float | None = None

    @property
    def finite(self) -> int:
        """How many elements are numbers."""
        return self.count - self.nan - self.inf

    @property
    def absmax(self) -> Number:
        """The largest finite magnitude, 0 where there is none."""
        return max(abs(self.min or 0), abs(self.max or 0))

    @property
    def rms(self) -> float | None:
        """The root of the mean of the squares of the finite elements, None where there is none."""
        if self.mean is None or self.std is None:
            return None
        return math.hypot(self.mean, self.std)


def figures_of(dtype: str, chunks: Iterable[Any]) -> Figures:
    """The figures of a tensor whose bytes come in chunks of any size, in their order."""
    room = Room()
    found = Figures()
    for raw in whole_elements(dtype, chunks):
        found = joined(found, figures_of_chunk(dtype, raw, room))
    return found


def figures_of_chunk(dtype: str, raw: Bytes, room: Room) -> Figures:
    """The figures of bytes that hold whole elements, CHUNK of them at a time."""
    found = Figures()
    for start in range(0, len(raw), CHUNK):
        part = raw[start : start + CHUNK]
        found = joined(found, _figures(dtype, part, room))
    return found


def joined(one: Figures, two: Figures) -> Figures:
    """The figures of what two hold together, each weighted by its count."""
    if not one.count or not two.count:
        return one if one.count else two
    held = [part for part in (one, two) if part.mean is not None]
    mean, std = _moments(one, two) if len(held) == 2 else (None, None)
    if len(held) == 1:
        mean, std = held[0].mean, held[0].std
    return Figures(
        one.count + two.count,
        one.nan + two.nan,
        one.inf + two.inf,
        one.zeros + two.zeros,
        min((part.min for part in held if part.min is not None), default=None),
        max((part.max for part in held if part.max is not None), default=None),
        mean,
        std,
    )


def _moments(one: Figures, two: Figures) -> tuple[float, float]:
    """Mean and deviation of two together: Chan, Golub and LeVeque, 1979."""
    count = one.finite + two.finite
    a, b = one.mean or 0.0, two.mean or 0.0
    share, other = two.finite / count, one.finite / count
    mean = other * a + share * b
    gap = (b - a) * math.sqrt(share * other)
    spread = (
        math.sqrt(other) * (one.std or 0.0),
        math.sqrt(share) * (two.std or 0.0),
        gap,
    )
    return mean, math.hypot(*spread)


def whole_elements(dtype: str, chunks: Iterable[Any]) -> Iterator[Bytes]:
    """Chunks of bytes cut anew where an element ends; what is left at the end is no element."""
    import numpy as np

    width = element_bytes(dtype)
    rest = np.empty(0, "u1")
    for chunk in chunks:
        raw = np.frombuffer(chunk, "u1")
        if len(rest):
            raw = np.concatenate((rest, raw))
        end = len(raw) // width * width
        rest = raw[end:].copy()
        if end:
            yield raw[:end]


def element_bytes(dtype: str) -> int:
    """The fewest bytes that hold whole elements: 3 for those of six bits."""
    bits = dtype_of(dtype).bits or 8
    return 3 if bits == 6 else max(1, bits // 8)


def _figures(dtype: str, raw: Bytes, room: Room) -> Figures:
    """The figures of at most CHUNK bytes."""
    if is_coded(dtype):
        return figures_of_counts(dtype, histogram(dtype, raw))
    part = measure_all(dtype, raw, room)
    moments = _fast(part) or moments_of(numbers_of(dtype, raw))
    return Figures(part.seen, part.nan, part.inf, part.zeros, part.lowest, part.highest, *moments)


def is_coded(dtype: str) -> bool:
    """Whether elements are of at most 8 bits, so that counting their codes tells everything."""
    return (dtype_of(dtype).bits or 8) <= 8


def histogram(dtype: str, raw: Bytes) -> NDArray[np.int64]:
    """How often each code of a dtype of at most 8 bits stands in some bytes."""
    import numpy as np

    bits = dtype_of(dtype).bits or 8
    if bits == 6:
        sextets: NDArray[np.int64] = np.bincount(codes(dtype, raw), minlength=64)
        return sextets
    even = len(raw) // 2 * 2
    # two bytes at once: 1.2 GB/s against 0.7
    pairs = np.bincount(raw[:even].view("<u2"), minlength=1 << 16).reshape(256, 256)
    octets: NDArray[np.int64] = pairs.sum(axis=0) + pairs.sum(axis=1)
    octets += np.bincount(raw[even:], minlength=256)
    if bits == 8:
        return octets
    halves = octets.reshape(16, 16)
    quartets: NDArray[np.int64] = halves.sum(axis=0) + halves.sum(axis=1)
    return quartets


def figures_of_counts(dtype: str, counts: NDArray[np.int64]) -> Figures:
    """The figures of elements, by how often each code stands among them."""
    import numpy as np

    values = _values_of_codes(dtype)
    part = of_counts(values, counts)
    finite = np.isfinite(values)
    mean, std = moments_of(values[finite], counts[finite])
    lowest, highest = part.lowest, part.highest
    if dtype not in LAYOUTS:  # integers stay integers
        lowest, highest = int(lowest or 0), int(highest or 0)
    return Figures(part.seen, part.nan, part.inf, part.zeros, lowest, highest, mean, std)


def _values_of_codes(dtype: str) -> NDArray[np.float64]:
    import numpy as np

    if dtype in LAYOUTS:
        return table(dtype)
    return np.arange(256, dtype="u1").view(INTEGERS.get(dtype, "u1")).astype("f8")


def _fast(part: Partial) -> tuple[float, float] | None:
    """Mean and deviation by sums; None where these lose digits."""
    if part.measured < _FEW or part.measured != part.seen or not math.isfinite(part.squares):
        return None
    mean = part.total / part.measured
    variance = part.squares / part.measured - mean * mean
    if variance * part.measured < _DOMINATED * part.squares:
        return None
    return mean, math.sqrt(variance)


def moments_of(
    numbers: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> tuple[float, float] | tuple[None, None]:
    """Mean and deviation of the finite ones, each taken once or so many times."""
    import numpy as np

    finite = np.isfinite(numbers) if counts is None else counts > 0
    held = numbers[finite]
    if not len(held):
        return None, None
    times = None if counts is None else counts[finite]
    largest = float(np.abs(held).max()) or 1.0  # of numbers near the limit the sum overflows
    held = held / largest
    mean = float(np.average(held, weights=times))
    spread = float(np.average((held - mean) ** 2, weights=times))
    return mean * largest, math.sqrt(spread) * largest


def numbers_of(dtype: str, raw: Bytes) -> NDArray[np.float64]:
    """The elements of some bytes as float64; those of a dtype that is not known are its bytes."""
    if dtype in LAYOUTS:
        return decode(dtype, raw)
    return raw.view(INTEGERS.get(dtype, "u1")).astype("f8")
