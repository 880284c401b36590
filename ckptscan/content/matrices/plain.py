"""Matrices whose numbers are stored as they are, and matrices made of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import lcm
from typing import NamedTuple

from ckptscan.content.formats import codes, table
from ckptscan.content.matrices.values import (
    Cells,
    Field,
    Matrix,
    Take,
    Window,
    dtype_halves,
    is_readable,
)


class Stored(NamedTuple):
    """A tensor, or a matrix of it, in any dtype of numbers; `field` holds it row by row.

    Numbers of 4 bits lie two in a byte; `field` then counts bytes.
    """

    field: Field
    rows: int
    dtype: str

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.field.columns * (1 if is_readable(self.dtype) else 2)

    @property
    def tile(self) -> tuple[int, int]:
        """Any window will do, of whole bytes."""
        return (1, 1) if is_readable(self.dtype) else (1, 2)

    @property
    def is_wide(self) -> bool:
        """Rows are in one piece."""
        return True

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window; those of few bits stand for others, as codes do."""
        if is_readable(self.dtype):
            return Cells(self.field.numbers(window, take))
        half = window._replace(left=window.left // 2, right=-(-window.right // 2))
        found = codes(self.dtype, self.field.raw(half, take).reshape(-1)).reshape(window.shape)
        return Cells(table(self.dtype)[found], dtype_halves(self.dtype)[found])


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
