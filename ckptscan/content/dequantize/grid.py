"""Scales and zero points that stand for blocks of a weight, found for some of its lines."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.dequantize.values import (
    Bits,
    Lines,
    NoFormula,
    Part,
    Stored,
    numbers,
    part_of,
)
from ckptscan.structure.packing import Shape
from ckptscan.structure.packing.scaled import aligned, block_edges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers


class Grid(NamedTuple):
    """One value for each block of a weight: `rows` x `cols` of them, blocks of `high` x `wide`.

    `lead` is how the grid is stacked, 1 where all matrices of the weight share one.
    """

    leaf: str
    lead: Shape
    rows: int
    cols: int
    high: int
    wide: int

    def first(self, stored: Stored, lines: Lines) -> int:
        """The row of the whole grid that the first line needs."""
        found, left = 0, lines.matrix
        places = []
        for size in reversed(stored.logical[:-2]):
            left, place = divmod(left, size)
            places.append(place)
        for size, place in zip(self.lead, reversed(places), strict=True):
            found = found * size + (place if size > 1 else 0)
        return found * self.rows + lines.start // self.high

    def count(self, lines: Lines) -> int:
        """How many rows of the grid the lines need."""
        return (lines.stop - 1) // self.high + 1 - lines.start // self.high

    def columns(self, stored: Stored, lines: Lines) -> tuple[int, int]:
        """The first column of the grid that the lines need, and the one after the last."""
        if lines.span is None:
            return 0, self.cols
        left, right = lines.within(stored.logical[-1])
        return left // self.wide, (right - 1) // self.wide + 1


def grid_of(stored: Stored, leaf: str) -> Grid:
    """The grid that a leaf is. Raises NoFormula where it does not fit the weight."""
    shape, weight = stored.shape(leaf), stored.logical
    if prod(shape) == 1:
        return Grid(leaf, (1,) * len(weight[:-2]), 1, 1, weight[-2], weight[-1])
    along, edges = aligned(weight, shape), block_edges(weight, shape)
    if along is None or edges is None or prod(along) != prod(shape):
        raise NoFormula(f"{stored.bundle.shown(leaf)} tells of no block which weights it has")
    return Grid(leaf, along[:-2], along[-2], along[-1], edges[-2], edges[-1])


def grid_part(stored: Stored, leaf: str, lines: Lines) -> Part:
    """The bytes of a grid that some lines of the weight need."""
    grid = grid_of(stored, leaf)
    bits = stored.bits(leaf)
    left, right = grid.columns(stored, lines)
    of = Bits(left * bits, right * bits, grid.cols * bits)
    first, count = grid.first(stored, lines), grid.count(lines)
    return part_of(leaf, first, count, grid.cols * bits // 8, of)


def grid_values(
    stored: Stored,
    leaf: str,
    lines: Lines,
    raw: NDArray[np.uint8],
    dtype: str = "",
    groups: NDArray[np.int64] | None = None,
) -> Numbers:
    """What a grid says of each weight of some lines, as float32.

    `dtype` is what the bytes are where the header calls them plain bytes, `groups` the column of
    the whole grid that each weight along a line has, where these are not in a row.
    """
    import numpy as np

    grid = grid_of(stored, leaf)
    first, last = grid.columns(stored, lines if groups is None else lines.whole)
    held = numbers(dtype or stored.bundle.dtype(leaf), raw).astype("<f4").reshape(-1, last - first)
    rows = np.arange(lines.start, lines.stop) // grid.high - lines.start // grid.high
    columns = groups
    if columns is None:
        columns = np.arange(*lines.within(stored.logical[-1])) // grid.wide - first
    if columns.max(initial=0) >= last - first or columns.min(initial=0) < 0:
        raise NoFormula("its index names groups that there are not")
    found: Numbers = held[rows][:, columns]
    return found
