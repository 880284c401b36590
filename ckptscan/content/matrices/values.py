"""What a matrix is, a window of it, and the numbers that it holds there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]
    Raw = NDArray[np.uint8]

# bytes of a row of the table: the row, the first byte in it, how many
Stretch = tuple[int, int, int]
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

    def needs(self, window: Window) -> list[Stretch]:
        """The bytes that a window takes. Raises NoFormula where they are too many."""

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window; `take` gives the bytes that it needs.

        Raises NoFormula where they contradict each other.
        """
