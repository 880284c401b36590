"""What a matrix is, a window of it, and a field of a tensor that part of it is read from."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ckptscan.content.formats import INTEGERS, LAYOUTS, decode, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Raw = NDArray[np.uint8]

# bytes of a row of the table: the row, the first byte in it, how many
Take = Callable[[int, int, int], "Raw"]


class Window(NamedTuple):
    """Rows and columns of a matrix, the last ones not included."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns."""
        return self.bottom - self.top, self.right - self.left

    @property
    def turned(self) -> Window:
        """The same of the transpose."""
        return Window(self.left, self.right, self.top, self.bottom)


class Cells(NamedTuple):
    """The numbers of a window; `halves` is how far each may lie from what it stands for.

    That is half the distance to the next code, or the whole where there is no next one: what lies
    beyond was clipped. None where the numbers are stored as they are.
    """

    values: Numbers
    halves: Numbers | None = None


class Matrix(Protocol):
    """A weight of so many rows and columns.

    Windows begin at a multiple of `tile`, and end at one or with the matrix. `is_wide` where a row
    lies in one piece. `dtype` is that of plain numbers, "" of packed ones.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    @property
    def tile(self) -> tuple[int, int]:
        """What rows and columns of a window are multiples of."""

    @property
    def is_wide(self) -> bool:
        """Whether the numbers of a row lie one after the other."""

    @property
    def dtype(self) -> str:
        """The dtype of plain numbers."""

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window; `take` is asked for the same bytes whatever it gives."""


class Field(NamedTuple):
    """Part of a tensor as rows of elements: its row in the table, elements of a row, first byte."""

    row: int
    columns: int
    dtype: str
    start: int = 0

    @property
    def width(self) -> int:
        """Bytes of an element."""
        return (LAYOUTS[self.dtype].bits if self.dtype in LAYOUTS else _bits(self.dtype)) // 8

    def raw(self, window: Window, take: Take) -> Raw:
        """The bytes of a window, a row each."""
        import numpy as np

        rows, columns = window.shape
        wide = self.columns * self.width
        if columns == self.columns:
            return take(self.row, self.start + window.top * wide, rows * wide).reshape(rows, wide)
        first, length = self.start + window.left * self.width, columns * self.width
        tops = range(window.top, window.bottom)
        return np.stack([take(self.row, first + top * wide, length) for top in tops])

    def numbers(self, window: Window, take: Take) -> Numbers:
        """The numbers of a window."""
        import numpy as np

        raw = np.ascontiguousarray(self.raw(window, take)).reshape(-1)
        if self.dtype in INTEGERS:
            return raw.view(INTEGERS[self.dtype]).astype("f8").reshape(window.shape)
        return decode(self.dtype, raw).reshape(window.shape)

    def words(self, window: Window, take: Take) -> NDArray[np.uint64]:
        """The words of 32 bits of a window."""
        import numpy as np

        raw = np.ascontiguousarray(self.raw(window, take)).reshape(-1)
        return raw.view("<u4").astype("<u8").reshape(window.shape)


def _bits(dtype: str) -> int:
    import numpy as np

    return 8 * np.dtype(INTEGERS[dtype]).itemsize


def is_readable(dtype: str) -> bool:
    """Whether the elements of a dtype are whole bytes that mean numbers."""
    return dtype in INTEGERS or (dtype in LAYOUTS and LAYOUTS[dtype].bits >= 8 and dtype != "C64")


def unpacked(words: NDArray[np.uint64], count: int, bits: int) -> NDArray[np.int64]:
    """The first `count` codes of each row of words: a stream of bits, the lowest first."""
    import numpy as np

    first, shift = np.divmod(np.arange(count) * bits, 32)
    low = words[:, first]
    high = words[:, np.minimum(first + 1, words.shape[1] - 1)]
    both: NDArray[np.uint64] = (low | high << 32) >> shift.astype("u8")
    found: NDArray[np.int64] = (both & ((1 << bits) - 1)).astype("i8")
    return found


def halves_of(codes: Numbers) -> Numbers:
    """For each code of a table how far it reaches: half of the larger gap beside it.

    The outermost codes reach twice as far, as numbers beyond them are clipped.
    """
    import numpy as np

    is_number = np.isfinite(codes)
    known = np.unique(codes[is_number])
    gaps = np.diff(known)
    reach = np.maximum(np.append(gaps, 0), np.insert(gaps, 0, 0)) / 2
    reach[[0, -1]] *= 2
    found = np.zeros(len(codes))
    found[is_number] = reach[np.searchsorted(known, codes[is_number])]
    return found


@lru_cache(maxsize=16)
def dtype_halves(name: str) -> Numbers:
    """The same for the codes of a dtype of at most 8 bits."""
    return halves_of(table(name))


def uniform(codes: NDArray[np.int64], bits: int) -> Numbers:
    """The same for integers of so many bits, in steps: a half, or one at both ends."""
    import numpy as np

    return np.where((codes == 0) | (codes == (1 << bits) - 1), 1.0, 0.5)
