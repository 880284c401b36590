"""Matrices whose numbers are stored as they are, and matrices made of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm
from typing import NamedTuple

from ckptscan.content.dequantize.values import whole_bytes
from ckptscan.content.formats import LAYOUTS, codes, decode, halves_of, table
from ckptscan.content.matrices.values import Cells, Matrix, Stretch, Take, Window


class Stored(NamedTuple):
    """A matrix of a tensor in any dtype of numbers, row by row from the byte `start` on."""

    row: int
    shape: tuple[int, int]
    dtype: str
    start: int = 0

    @property
    def tile(self) -> tuple[int, int]:
        """Any window will do, of whole bytes."""
        return 1, whole_bytes(self._bits)

    @property
    def is_wide(self) -> bool:
        """Rows are in one piece."""
        return True

    @property
    def _bits(self) -> int:
        return LAYOUTS[self.dtype].bits

    def needs(self, window: Window) -> list[Stretch]:
        """The bytes that a window takes."""
        rows, columns = window.shape
        pitch, length = (one * self._bits // 8 for one in (self.shape[1], columns))
        first = self.start + window.top * pitch + window.left * self._bits // 8
        if length == pitch:
            return [(self.row, first, rows * pitch)]
        return [(self.row, first + number * pitch, length) for number in range(rows)]

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window; those of less than a byte stand for others, as codes do."""
        import numpy as np

        raw = np.concatenate([take(*stretch) for stretch in self.needs(window)])
        if self._bits >= 8:
            return Cells(decode(self.dtype, raw).reshape(window.shape))
        found, known = codes(self.dtype, raw).reshape(window.shape), table(self.dtype)
        return Cells(known[found], halves_of(known)[found])


class Turned(NamedTuple):
    """The transpose of a matrix."""

    of: Matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.of.shape
        return columns, rows

    @property
    def tile(self) -> tuple[int, int]:
        """That of the matrix, turned."""
        rows, columns = self.of.tile
        return columns, rows

    @property
    def is_wide(self) -> bool:
        """Whether rows are in one piece."""
        return not self.of.is_wide

    @property
    def dtype(self) -> str:
        """That of the matrix."""
        return self.of.dtype

    def needs(self, window: Window) -> list[Stretch]:
        """The bytes that a window takes."""
        return self.of.needs(window.turned)

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        values, halves = self.of.cells(window.turned, take)
        return Cells(values.T, None if halves is None else halves.T)


class Above(NamedTuple):
    """Matrices one above the other."""

    parts: Sequence[Matrix]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    @property
    def tile(self) -> tuple[int, int]:
        """What all parts can do."""
        return _tile(self.parts)

    @property
    def is_wide(self) -> bool:
        """Whether rows are in one piece."""
        return all(part.is_wide for part in self.parts)

    @property
    def dtype(self) -> str:
        """That of the parts."""
        return self.parts[0].dtype

    def needs(self, window: Window) -> list[Stretch]:
        """The bytes that a window takes."""
        return [each for part, one in self._within(window) for each in part.needs(one)]

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window."""
        import numpy as np

        found = [part.cells(one, take) for part, one in self._within(window)]
        halves = [one.halves for one in found if one.halves is not None]
        values = np.concatenate([one.values for one in found])
        return Cells(values, np.concatenate(halves) if len(halves) == len(found) else None)

    def _within(self, window: Window) -> Iterator[tuple[Matrix, Window]]:
        """The parts that a window lies on, each with its own window."""
        reached = 0
        for part in self.parts:
            rows = part.shape[0]
            top, bottom = max(window.top - reached, 0), min(window.bottom - reached, rows)
            if top < bottom:
                yield part, window._replace(top=top, bottom=bottom)
            reached += rows


def Beside(parts: Sequence[Matrix]) -> Matrix:  # noqa: N802  # reads as one of these
    """Matrices side by side."""
    return Turned(Above([Turned(part) for part in parts]))


def _tile(parts: Sequence[Matrix]) -> tuple[int, int]:
    rows, columns = zip(*(part.tile for part in parts), strict=True)
    return lcm(*rows), lcm(*columns)
