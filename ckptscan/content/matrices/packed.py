"""Packed weights as matrices, by the formula of their scheme."""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.content.dequantize import (
    Found,
    Lines,
    formula_of,
    needed,
    some_lines,
    with_halves,
)
from ckptscan.content.matrices.values import Cells, Matrix, Stretch, Take, Window


class Packed(NamedTuple):
    """One of the matrices of a packed weight."""

    found: Found
    number: int = 0
    dtype: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.found.stored.logical[-2:]
        return rows, columns

    @property
    def tile(self) -> tuple[int, int]:
        """Lines that are stored together, and weights of a line."""
        formula, stored = formula_of(self.found.stored), self.found.stored
        step, along = formula.step(stored), formula.tile(stored) if formula.tile else 1
        return (step, along) if self.is_wide else (along, step)

    @property
    def is_wide(self) -> bool:
        """Whether a line holds the weights of an output."""
        return formula_of(self.found.stored).axis == -2

    def needs(self, window: Window) -> list[Stretch]:
        """The bytes that a window takes. Raises NoFormula where they are too many."""
        return [
            (self.found.rows[part.leaf], *run)
            for part in needed(self.found.stored, self._lines(window))
            for run in part.runs
        ]

    def cells(self, window: Window, take: Take) -> Cells:
        """The numbers of a window. Raises NoFormula."""
        import numpy as np

        lines = self._lines(window)
        raw = {
            part.leaf: np.concatenate([take(self.found.rows[part.leaf], *run) for run in part.runs])
            for part in needed(self.found.stored, lines)
        }
        values, halves = (one.astype("f8") for one in with_halves(self.found.stored, lines, raw))
        if lines.span is None:
            along = self._along(window)
            values, halves = (one[:, along.left : along.right] for one in (values, halves))
        return Cells(values, halves) if self.is_wide else Cells(values.T, halves.T)

    def _along(self, window: Window) -> Window:
        """A window of the outputs and inputs as one of lines."""
        return window if self.is_wide else window.turned

    def _lines(self, window: Window) -> Lines:
        """The lines that a window lies on; whole ones, where no parts of them can be read."""
        top, bottom, *span = self._along(window)
        whole = Lines(top, bottom, self.number)
        if formula_of(self.found.stored).tile is None:
            return whole
        return whole._replace(span=(span[0], span[1]))


def packed(found: Found) -> list[Matrix]:
    """The matrices of a packed weight, one after the other.

    Raises NoFormula where its tensors do not fit one another, or nobody knows what they mean.
    """
    last = found.stored.matrices - 1
    for lines in some_lines(found.stored, 1, last):  # those that lie furthest behind
        needed(found.stored, lines)
    return [Packed(found, number) for number in range(last + 1)]
