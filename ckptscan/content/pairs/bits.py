"""Bytes of two sides -> how many elements differ, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.formats import INTEGERS, LAYOUTS, decode
from ckptscan.content.pairs.values import Chunk, Figures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Raw = NDArray[np.uint8]

_ROUNDED = frozenset({"BF16", "F16", "F32", "F64"})
Tolerance = tuple[float, float] | None


def can_cast(one: str, two: str) -> bool:
    """Whether elements of two dtypes can be compared."""
    if one == two:
        return True
    held = [name in INTEGERS for name in (one, two)]
    if all(held):
        return True
    floats = all(name in LAYOUTS and LAYOUTS[name].bits >= 8 for name in (one, two))
    return floats and bool({one, two} & _ROUNDED) and "C64" not in (one, two)


def compared(chunk: Chunk, a: Raw, b: Raw, tolerance: Tolerance = None) -> Figures:
    """How the elements of a chunk differ. NaN are compared by their bits."""
    one, two = _aligned(chunk, a, b)
    seen = len(one) // chunk.run.widths[0]
    if not chunk.run.is_cast:
        if (one == two).all():
            return Figures(seen)
        return _differing(chunk.run.dtypes[0], chunk.run.widths[0], one, two, tolerance)
    return _cast(chunk.run.dtypes, one, two, tolerance)


def weighed(chunk: Chunk, a: Raw) -> Figures:
    """The figures of a chunk that is the same on both sides: the size of its elements."""
    import numpy as np

    held = numbers(chunk.run.dtypes[0], a)
    if held is None:
        return Figures()
    held = np.where(np.isfinite(held), held, 0.0)
    with np.errstate(over="ignore"):
        return Figures(base=_squares(held))


def difference(chunk: Chunk, a: Raw, b: Raw) -> Numbers | None:
    """B less A, 0 where that is no number; None where the elements are no plain numbers."""
    import numpy as np

    ours, theirs = (numbers(*side) for side in zip(chunk.run.dtypes, (a, b), strict=True))
    if ours is None or theirs is None:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        delta = theirs - ours
    return np.where(np.isfinite(delta), delta, 0.0)


def _aligned(chunk: Chunk, a: Raw, b: Raw) -> tuple[Raw, Raw]:
    """The bytes of elements that both have, in one order."""
    run = chunk.run
    if not run.is_turned:
        return a, b
    width, other = run.widths
    columns, rows = run.columns, run.units // run.columns
    first, second = chunk.a_start - run.a_start, chunk.b_start - run.b_start
    top, left = first // columns, second // rows
    one = a.reshape(-1, columns, width)
    two = b.reshape(-1, rows, other)
    one = one[:, left : left + len(two)]
    two = two[:, top : top + len(one)].transpose(1, 0, 2)
    return one.reshape(-1), two.reshape(-1)


def _differing(name: str, width: int, one: Raw, two: Raw, tolerance: Tolerance) -> Figures:
    """Figures of one dtype, whose bits differ somewhere."""
    import numpy as np

    bits = (one.reshape(-1, width) != two.reshape(-1, width)).any(axis=1)
    changed = int(np.count_nonzero(bits))
    ours, theirs = numbers(name, one), numbers(name, two)
    if ours is None or theirs is None:
        return Figures(len(bits), changed, changed, changed)
    return _figures(ours, theirs, bits, bits, name, tolerance)


def _cast(names: tuple[str, str], one: Raw, two: Raw, tolerance: Tolerance) -> Figures:
    """Figures of two dtypes: elements that are not the same after rounding."""
    ours, theirs = numbers(names[0], one), numbers(names[1], two)
    if ours is None or theirs is None:
        return Figures()
    return _rounded_figures(names, ours, theirs, tolerance)


def number_figures(names: tuple[str, str], ours: Numbers, theirs: Numbers) -> Figures:
    """How numbers differ that were decoded from two dtypes, or one; each in one piece."""
    if names[0] != names[1]:
        return _rounded_figures(names, ours, theirs, None)
    changed = ours.view("i8") != theirs.view("i8")
    if not changed.any():
        return Figures(len(ours))
    return _figures(ours, theirs, changed, changed, names[1], None)


def _rounded_figures(
    names: tuple[str, str], ours: Numbers, theirs: Numbers, tolerance: Tolerance
) -> Figures:
    """The same of numbers that were decoded."""
    import numpy as np

    both_nan = np.isnan(ours) & np.isnan(theirs)
    changed = (rounded(ours, names[1]) != theirs) & ~both_nan
    back = (rounded(theirs, names[0]) != ours) & ~both_nan
    return _figures(ours, theirs, changed, back, names[1], tolerance)


def _figures(
    ours: Numbers,
    theirs: Numbers,
    changed: NDArray[np.bool_],
    back: NDArray[np.bool_],
    name: str,
    tolerance: Tolerance,
) -> Figures:
    import numpy as np

    with np.errstate(invalid="ignore", over="ignore"):
        delta = theirs - ours
        is_finite = np.isfinite(delta)
        gap = np.abs(np.where(is_finite, delta, 0.0))
        beyond = changed
        if tolerance is not None:
            relative, absolute = tolerance
            beyond = changed & ~(is_finite & (gap <= absolute + relative * np.abs(ours)))
        held = np.where(is_finite, ours, 0.0)
        return Figures(
            len(ours),
            int(np.count_nonzero(changed)),
            int(np.count_nonzero(back)),
            int(np.count_nonzero(beyond)),
            float(gap.max(initial=0.0)),
            _squares(gap),
            _squares(held),
            _noise(theirs[is_finite], name),
        )


def _squares(values: Numbers) -> float:
    """The sum of squares; threads of a linear algebra library would get in each other's way."""
    import numpy as np

    return float(np.einsum("i,i->", values, values))


def _noise(values: Numbers, name: str) -> float:
    """The sum of squares that rounding these values to a dtype leaves, as expected."""
    import numpy as np

    layout = LAYOUTS.get(name)
    if layout is None or not len(values):
        return 0.0
    _, powers = np.frexp(np.abs(values))
    steps = np.ldexp(1.0, np.maximum(powers - 1, 1 - layout.bias) - layout.fraction)
    return _squares(steps) / 12


def numbers(name: str, raw: Raw) -> Numbers | None:
    """The elements as numbers; None where they are no plain ones."""
    if name in INTEGERS:
        return raw.view(INTEGERS[name]).astype("f8")
    layout = LAYOUTS.get(name)
    if layout is None or layout.bits < 8:
        return None
    return decode(name, raw)


def rounded(values: Numbers, name: str) -> Numbers:
    """Numbers as a dtype can hold them, ties to even."""
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        if name == "F16":
            return values.astype("<f2").astype("f8")
        if name == "F32":
            return values.astype("<f4").astype("f8")
        if name != "BF16":
            return values
        bits = values.astype("<f4").view("<u4").astype("<u8")
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
        found = bits.astype("<u4").view("<f4").astype("f8")
        return np.where(np.isnan(values), values, found)


def prints(name: str, raw: bytes) -> bytes:
    """Elements rounded to BF16: the same for a vector and its cast; other bytes as they are."""
    import numpy as np

    held = numbers(name, np.frombuffer(raw, "u1"))
    return raw if held is None else rounded(held, "BF16").tobytes()


def rows_of(chunk: Chunk, a: Raw, b: Raw) -> tuple[list[bytes], list[bytes]] | None:
    """The rows of both sides as keys, those of the wider dtype rounded; None for odd dtypes."""
    run = chunk.run
    sides = [a, b]
    if run.is_cast:
        found = [numbers(name, raw) for name, raw in zip(run.dtypes, sides, strict=True)]
        narrow = run.dtypes[0] if run.widths[0] <= run.widths[1] else run.dtypes[1]
        sides = [rounded(one, narrow).view("u1") for one in found if one is not None]
        if len(sides) < 2:
            return None
    width = len(sides[0]) // (chunk.a_units // run.columns)
    keys = [[row.tobytes() for row in side.reshape(-1, width)] for side in sides]
    return keys[0], keys[1]
