"""A block of one tensor's bytes -> what it holds; the loops that all bytes go through.

Measured on two cores, GB/s: reading from the page cache into a reused buffer 9, two largest
integers 37, page sums 18, counting zeros 12, sums and squares of BF16 as two halves of F32 5. A
histogram makes 0.7 of 256 codes, 1.2 of 65,536; so sums are taken of one page in eight, past the
first 16. Squares by einsum: a dot product starts threads of its own, which on busy cores spin
against ours (BF16 0.3 GB/s against 1.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.content.formats import INTEGERS, LAYOUTS, Layout, codes, decode, table
from ckptscan.content.values import Number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

PAGE = 64 << 10  # bytes; what a sparse file loses is a multiple of it, or nearly
CHUNK = 1536 << 10  # bytes that stay in a cache of 2 MiB; whole triples of pages
MEASURED = 8  # of so many pages one is summed up: sums cost as much as all else
WHOLE = 16  # pages at the beginning of a tensor that are all summed up: 1 MiB


class Partial(NamedTuple):
    """What one block holds; the fields of Statistics, as far as they add up."""

    seen: int
    nan: int = 0
    inf: int = 0
    negative_inf: int = 0
    zeros: int = 0
    lowest: Number | None = None
    highest: Number | None = None
    measured: int = 0
    total: float = 0.0
    squares: float = 0.0
    saturated: int = 0
    subnormal: int = 0


_COUNTS = ("seen", "nan", "inf", "negative_inf", "zeros", "measured", "saturated", "subnormal")


def together(parts: Sequence[Partial]) -> Partial:
    """What several blocks hold; in whatever order they came in, where they are given in theirs."""
    if len(parts) == 1:
        return parts[0]
    counts = {name: sum(getattr(part, name) for part in parts) for name in _COUNTS}
    return Partial(
        **counts,
        lowest=min((one.lowest for one in parts if one.lowest is not None), default=None),
        highest=max((one.highest for one in parts if one.highest is not None), default=None),
        total=_sum(part.total for part in parts),
        squares=_sum(part.squares for part in parts),
    )


def _sum(numbers: Iterable[float]) -> float:
    """The sum; infinite where it overflows."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return math.inf


class Room:
    """Memory of one thread that is used again for each block."""

    def __init__(self, nbytes: int = CHUNK) -> None:
        import numpy as np

        self.wide = np.empty(nbytes // 4 + 1, "<f4")
        self.other = np.empty(nbytes + 8, "u1")


@lru_cache(maxsize=8)
def random_words(count: int) -> NDArray[np.uint64]:
    """Odd numbers, always the same: words that change places change a sum weighted with them."""
    import numpy as np

    words = np.random.Generator(np.random.PCG64(0)).integers(1 << 63, size=count, dtype="u8")
    found: NDArray[np.uint64] = (words << np.uint64(1)) | np.uint64(1)
    found.flags.writeable = False
    return found


def page_sums(raw: Bytes, page: int = PAGE) -> NDArray[np.uint64]:
    """A number for each page that tells its bytes from others; 0 for zeros."""
    import numpy as np

    whole = len(raw) // page * page
    words = _aligned(raw[:whole], "<u8").reshape(-1, page // 8)
    sums: NDArray[np.uint64] = np.add.reduce(words, axis=1)
    if whole == len(raw):
        return sums
    rest = np.zeros(-(-(len(raw) - whole) // 8) * 8, "u1")
    rest[: len(raw) - whole] = raw[whole:]
    return np.append(sums, np.add.reduce(rest.view("<u8")))


def _aligned(raw: Bytes, kind: str) -> NDArray[Any]:
    """The bytes as numbers, copied where they do not lie as the machine wants them."""
    found: NDArray[Any] = raw.view(kind)
    return found if found.flags.aligned else raw.copy().view(kind)


def measure(
    dtype: str, raw: Bytes, first: int, room: Room, page: int = PAGE
) -> tuple[Partial, NDArray[np.uint64]]:
    """What bytes hold, and a number for each page; `first` is their first page in the tensor."""
    import numpy as np

    parts, sums = [], []
    for start in range(0, len(raw), CHUNK):
        chunk = raw[start : start + CHUNK]
        summed = partial(_chosen, first=first + start // page, page=page)
        parts.append(_measure(dtype, chunk, summed, room))
        sums.append(page_sums(chunk, page))
    return together(parts), np.concatenate(sums) if len(sums) > 1 else sums[0]


def measure_all(dtype: str, raw: Bytes, room: Room) -> Partial:
    """What at most CHUNK bytes hold, every float of them summed up."""
    return _measure(dtype, raw, lambda raw: raw, room)


def _measure(dtype: str, raw: Bytes, summed: Callable[[Bytes], Bytes], room: Room) -> Partial:
    """What bytes hold; `summed` gives those of them whose floats are summed up."""
    if dtype in INTEGERS:
        return _integers(_aligned(raw, INTEGERS[dtype]))
    layout = LAYOUTS.get(dtype)
    if layout is None:  # a dtype that is not known: bytes
        return _integers(raw)
    if layout.bits < 8 or layout.special == "scale":
        return _coded(dtype, raw)
    return _floats(dtype, raw, summed, room)


def _integers(numbers: NDArray[Any]) -> Partial:
    import numpy as np

    lowest, highest = int(numbers.min()), int(numbers.max())
    zeros = len(numbers) - int(np.count_nonzero(numbers))
    return Partial(len(numbers), zeros=zeros, lowest=lowest, highest=highest)


def _coded(dtype: str, raw: Bytes) -> Partial:
    """Dtypes of less than a byte, and scales: by a histogram of their codes."""
    import numpy as np

    if LAYOUTS[dtype].bits == 4:
        pairs = np.bincount(raw, minlength=256).reshape(16, 16)
        return of_counts(table(dtype), pairs.sum(axis=0) + pairs.sum(axis=1))
    counts = np.bincount(codes(dtype, raw), minlength=len(table(dtype)))
    return of_counts(table(dtype), counts)


def of_counts(numbers: NDArray[np.float64], counts: NDArray[np.int64]) -> Partial:
    """What elements hold of which each of these numbers stands so many times."""
    import numpy as np

    finite = np.isfinite(numbers) & (counts > 0)
    held, times = numbers[finite], counts[finite]
    is_nan, is_inf = np.isnan(numbers), np.isinf(numbers)
    return Partial(
        int(counts.sum()),
        int(counts[is_nan].sum()),
        int(counts[is_inf].sum()),
        int(counts[is_inf & (numbers < 0)].sum()),
        int(times[held == 0].sum()),
        float(held.min()) if len(held) else None,
        float(held.max()) if len(held) else None,
        int(times.sum()),
        float(times @ held),
        float(times @ (held * held)),
    )


def _floats(dtype: str, raw: Bytes, summed: Callable[[Bytes], Bytes], room: Room) -> Partial:
    """Floats of whole bytes: bits of all elements, sums of those that are chosen for it."""
    layout = LAYOUTS[dtype]
    found = _by_bits(layout, _aligned(raw, f"<u{layout.bits // 8}"))
    if found is None:
        found = _odd(dtype, raw)
    if dtype == "F16" and 65504.0 in (found.highest, -(found.lowest or 0)):
        found = found._replace(saturated=_saturated(raw, room))
    chosen = summed(raw)
    return _summed(found, dtype, chosen, room) if len(chosen) else found


def _summed(found: Partial, dtype: str, raw: Bytes, room: Room) -> Partial:
    """With what is counted and summed up of chosen bytes only."""
    import numpy as np

    layout = LAYOUTS[dtype]
    unsigned = _aligned(raw, f"<u{layout.bits // 8}")
    kept = room.other[: unsigned.nbytes].view(unsigned.dtype)
    np.bitwise_and(unsigned, unsigned.dtype.type(layout.sign - 1), out=kept)
    zeros = len(kept) - int(np.count_nonzero(kept))
    if layout.special == "fnuz":
        zeros -= int(np.count_nonzero(unsigned == layout.sign))
    subnormal = 0
    if dtype == "F16":
        np.bitwise_and(unsigned, np.uint16(layout.infinity), out=kept)
        subnormal = len(kept) - int(np.count_nonzero(kept)) - zeros
    total, squares = _sums(dtype, raw, room)
    if math.isfinite(squares) and not found.nan and not found.inf:
        measured = len(kept)
    else:
        measured, total, squares = _slow_sums(decode(dtype, raw))
    return found._replace(
        measured=measured, zeros=zeros, subnormal=subnormal, total=total, squares=squares
    )


def _chosen(raw: Bytes, first: int, page: int) -> Bytes:
    """The bytes of the first WHOLE pages of a tensor, and of every MEASURED-th after them."""
    import numpy as np

    begin = max(0, WHOLE - first) * page
    starts = range(begin + -(first + begin // page) % MEASURED * page, len(raw), MEASURED * page)
    parts = [raw[:begin]] if begin else []
    parts += [raw[start : start + page] for start in starts]
    return np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else raw[:0]


def _by_bits(layout: Layout, unsigned: NDArray[Any]) -> Partial | None:
    """Extremes by comparing integers; None where there is what is no number."""
    width = unsigned.dtype.itemsize
    signed = unsigned.view(f"<i{width}")
    top, best = int(unsigned.max()), int(signed.max())
    has_negative, has_positive = top >= layout.sign, best >= 0
    if layout.special == "fnuz" and has_negative and (unsigned == layout.sign).any():
        return None
    worst = max(best if has_positive else 0, top - layout.sign if has_negative else 0)
    if worst >= layout.infinity:
        return None
    least = int(unsigned.min()) if not (has_negative and has_positive) else 0
    lowest = layout.value(top if has_negative else least)
    highest = layout.value(best if has_positive else least)
    return Partial(len(unsigned), lowest=lowest, highest=highest)


def _sums(dtype: str, raw: Bytes, room: Room) -> tuple[float, float]:
    """Sum and sum of squares; what overflows is infinite or NaN."""
    import numpy as np

    width = LAYOUTS[dtype].bits // 8
    if width == 1:
        counts = np.bincount(raw, minlength=256)
        found = of_counts(table(dtype), counts)
        return found.total, found.squares if found.measured == len(raw) else math.inf
    with np.errstate(all="ignore"):
        if width > 2:
            numbers = _aligned(raw, f"<f{width}")
            return float(np.einsum("i->", numbers)), float(np.einsum("i,i->", numbers, numbers))
        even = raw[: len(raw) // 4 * 4]
        halves = _halves_of_bf16 if dtype == "BF16" else _halves_of_f16
        total, squares = halves(_aligned(even, "<u4"), room)
        for number in decode(dtype, raw[len(even) :]).tolist() if len(even) < len(raw) else ():
            total, squares = total + number, squares + number * number
    return total, squares


def _halves_of_bf16(pairs: NDArray[Any], room: Room) -> tuple[float, float]:
    """BF16 is the upper half of F32: of each pair first the one, then the other."""
    import numpy as np

    wide = room.wide[: len(pairs)]
    bits = wide.view("<u4")
    np.bitwise_and(pairs, np.uint32(0xFFFF0000), out=bits)
    total, squares = float(np.einsum("i->", wide)), float(np.einsum("i,i->", wide, wide))
    np.left_shift(pairs, np.uint32(16), out=bits)
    return total + float(np.einsum("i->", wide)), squares + float(np.einsum("i,i->", wide, wide))


def _halves_of_f16(pairs: NDArray[Any], room: Room) -> tuple[float, float]:
    """F16 shifted by 3 bits is F32 at 2**-112 of its value, subnormal ones too."""
    import numpy as np

    wide = room.wide[: len(pairs)]
    bits = wide.view("<i4")
    signed = pairs.view("<i4")
    total = squares = 0.0
    for is_low in (False, True):
        np.left_shift(signed, np.int32(16 if is_low else 0), out=bits)
        np.right_shift(bits, np.int32(3), out=bits)
        np.bitwise_and(bits, np.int32(-0x70002000), out=bits)  # 0x8fffe000
        np.multiply(wide, np.float32(2.0**112), out=wide)
        total += float(np.einsum("i->", wide))
        squares += float(np.einsum("i,i->", wide, wide))
    return total, squares


def _slow_sums(numbers: NDArray[np.float64]) -> tuple[int, float, float]:
    """How many are finite, their sum, their sum of squares."""
    import numpy as np

    held = numbers[np.isfinite(numbers)]
    with np.errstate(over="ignore"):
        return len(held), float(held.sum()), float((held * held).sum())


def _saturated(raw: Bytes, room: Room) -> int:
    """How many elements of F16 have the largest finite magnitude."""
    import numpy as np

    unsigned = _aligned(raw, "<u2")
    kept = room.other[: unsigned.nbytes].view("<u2")
    np.bitwise_and(unsigned, np.uint16(0x7FFF), out=kept)
    return int(np.count_nonzero(kept == LAYOUTS["F16"].infinity - 1))


def _odd(dtype: str, raw: Bytes) -> Partial:
    """The extremes of a block that holds what is no number: in float64, slowly."""
    import numpy as np

    numbers = decode(dtype, raw)
    is_nan, is_inf = np.isnan(numbers), np.isinf(numbers)
    held = numbers[~(is_nan | is_inf)]
    return Partial(
        len(numbers),
        int(np.count_nonzero(is_nan)),
        int(np.count_nonzero(is_inf)),
        int(np.count_nonzero(is_inf & (numbers < 0))),
        lowest=float(held.min()) if len(held) else None,
        highest=float(held.max()) if len(held) else None,
    )
