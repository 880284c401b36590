"""Codes of a byte or less, with a scale for a block of them: FP8, INT8, FP4, bitsandbytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.formats import INTEGERS, codes, table
from ckptscan.content.matrices.values import (
    Cells,
    Field,
    Take,
    Window,
    dtype_halves,
    halves_of,
    uniform,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_OUTER = 256  # magnitudes that share one; bitsandbytes functional.py, nested blocksize
_MOST_STATE = 1 << 16  # bytes of a quant_state; a real one has 200


class Bytes(NamedTuple):
    """One code a byte, FP8 or INT8; a scale for `edges` rows and columns, times `factor`."""

    shape: tuple[int, int]
    weight: Field
    scales: Field | None
    edges: tuple[int, int]
    factor: float = 1.0
    is_wide: bool = True
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Any window will do."""
        return 1, 1

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        numbers = self.weight.numbers(window, take)
        scales = np.full((1, 1), self.factor)
        if self.scales is not None:
            scales = self.factor * _spread(self.scales, window, self.edges, take)
        if self.weight.dtype in INTEGERS:
            halves = uniform((numbers + 128).astype("i8"), 8)
        else:
            raw = self.weight.raw(window, take).reshape(window.shape)
            halves = dtype_halves(self.weight.dtype)[raw]
        return Cells(numbers * scales, np.abs(scales) * halves)


class Pairs(NamedTuple):
    """FP4, two codes a byte along in, the first in the low bits; a scale for `group` of them.

    Scales are exponents where `is_exponent`, whatever dtype holds them. `whole` is one more scale
    of the tensor, a divisor where `divides`.
    """

    shape: tuple[int, int]
    weight: Field
    scales: Field
    group: int
    is_exponent: bool
    whole: Field | None = None
    divides: bool = False
    is_wide: bool = True
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Whole groups."""
        return 1, self.group

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        half = window._replace(left=window.left // 2, right=-(-window.right // 2))
        raw = np.ascontiguousarray(self.weight.raw(half, take)).reshape(-1)
        found = codes("F4", raw).reshape(window.shape)
        scales = _spread(self.scales, window, (1, self.group), take, self.is_exponent)
        if self.whole is not None:
            (whole,) = self.whole.numbers(Window(0, 1, 0, 1), take)[0]
            with np.errstate(divide="ignore", invalid="ignore"):
                scales = scales / whole if self.divides else scales * whole
        return Cells(table("F4")[found] * scales, dtype_halves("F4")[found] * np.abs(scales))


class _Codes(NamedTuple):
    """What magnitudes that are codes stand for, times those of `outer`, plus `offset`."""

    outer: Field
    known: Numbers
    reach: Numbers
    offset: float


class Blocks(NamedTuple):
    """bitsandbytes: codes of 4 bits in one row, the first in the high bits, looked up in `codes`.

    Each block of `group` has a largest magnitude. Where that is itself a code, it is looked up in
    `outer_codes`, times that of a block of 256, and `state` tells what is added.
    """

    shape: tuple[int, int]
    group: int
    weight: Field
    absmax: Field
    codes: Field
    outer: Field | None = None
    outer_codes: Field | None = None
    state: Field | None = None
    is_wide: bool = True
    dtype: str = ""

    @property
    def tile(self) -> tuple[int, int]:
        """Whole bytes."""
        return 1, 2

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        known = self.codes.numbers(Window(0, 1, 0, 16), take)[0]
        reach = halves_of(known)
        outer = self._outer_codes(take)
        values, halves = [], []
        for first, last in self._stretches(window):
            raw = self.weight.raw(Window(0, 1, first // 2, -(-last // 2)), take)[0]
            found = np.stack((raw >> 4, raw & 0xF), axis=1).reshape(-1)[: last - first]
            largest, slack = self._largest(first // self.group, -(-last // self.group), outer, take)
            block = np.arange(first, last) // self.group - first // self.group
            values.append(known[found] * largest[block])
            halves.append(reach[found] * largest[block] + np.abs(known[found]) * slack[block])
        shape = window.shape
        return Cells(np.concatenate(values).reshape(shape), np.concatenate(halves).reshape(shape))

    def _stretches(self, window: Window) -> list[tuple[int, int]]:
        """Where the elements of a window lie in the one row that holds all."""
        columns = self.shape[1]
        if window.shape[1] == columns:
            return [(window.top * columns, window.bottom * columns)]
        tops = [top * columns for top in range(window.top, window.bottom)]
        return [(top + window.left, top + window.right) for top in tops]

    def _outer_codes(self, take: Take) -> _Codes | None:
        """What magnitudes that are codes stand for; None where they are numbers."""
        if self.outer is None or self.outer_codes is None:
            return None
        known = self.outer_codes.numbers(Window(0, 1, 0, 256), take)[0]
        return _Codes(self.outer, known, halves_of(known), self._offset(take))

    def _largest(
        self, first: int, last: int, codes: _Codes | None, take: Take
    ) -> tuple[Numbers, Numbers]:
        """The largest magnitudes of some blocks, and how far each may be off."""
        import numpy as np

        held = Window(0, 1, first, last)
        if codes is None:
            largest = self.absmax.numbers(held, take)[0]
            return np.abs(largest), np.zeros(len(largest))
        found = self.absmax.raw(held, take)[0]
        start, end = first // _OUTER, -(-last // _OUTER)
        outer = codes.outer.numbers(Window(0, 1, start, end), take)[0]
        outer = outer[np.arange(first, last) // _OUTER - start]
        return codes.known[found] * outer + codes.offset, codes.reach[found] * np.abs(outer)

    def _offset(self, take: Take) -> float:
        """What is added to magnitudes that are codes."""
        if self.state is None:
            return 0.0
        raw = take(self.state.row, 0, min(self.state.columns, _MOST_STATE))
        try:
            said = json.loads(raw.tobytes())
        except (ValueError, RecursionError):
            return 0.0
        found = said.get("nested_offset") if isinstance(said, dict) else None
        return float(found) if isinstance(found, int | float) else 0.0


def _spread(
    scales: Field, window: Window, edges: tuple[int, int], take: Take, is_exponent: bool = False
) -> Numbers:
    """The scale of each cell of a window."""
    import numpy as np

    high, wide = edges
    top, left = window.top // high, window.left // wide
    held = Window(top, (window.bottom - 1) // high + 1, left, (window.right - 1) // wide + 1)
    if is_exponent:
        raw = np.ascontiguousarray(scales.raw(held, take)).reshape(-1)
        found = table("F8_E8M0")[raw].reshape(held.shape)
    else:
        found = scales.numbers(held, take)
    rows = np.arange(window.top, window.bottom) // high - top
    columns = np.arange(window.left, window.right) // wide - left
    return found[rows][:, columns]
