"""The length of each row of a table of floats, while its bytes come in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.content.formats import LAYOUTS, decode
from ckptscan.content.measuring import CHUNK
from ckptscan.dtypes import DType
from ckptscan.verify.figures import element_bytes, whole_elements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ROWS = 1 << 22  # of one table; real vocabularies have up to 300,000


class RowNorms(NamedTuple):
    """Euclidean norms of a table's rows: the least, the median, the largest of the finite ones.

    `zero` rows are zero all over, `odd` rows hold what is no number. The three are None where no
    row is finite.
    """

    rows: int
    least: float | None
    median: float | None
    largest: float | None
    zero: int = 0
    odd: int = 0


def has_norms(dtype: DType, shape: tuple[int, ...]) -> bool:
    """Whether rows of such a tensor have a length: a matrix of floats, whole bytes a row."""
    layout = LAYOUTS.get(dtype.name)
    if len(shape) != 2 or layout is None or layout.special == "scale":
        return False
    rows, columns = shape
    row_bits = columns * (dtype.bits or 0)
    return (
        0 < rows <= MOST_ROWS and row_bits > 0 and row_bits % (8 * element_bytes(dtype.name)) == 0
    )


def row_norms(dtype: DType, columns: int, chunks: Iterable[Any]) -> RowNorms:
    """The norms of rows that come in chunks of any size; without one that is cut off."""
    import numpy as np

    width = columns * (dtype.bits or 0) // 8
    parts: list[NDArray[np.float64]] = []
    reached, carried = 0, 0.0
    for raw in whole_elements(dtype.name, chunks):
        for start in range(0, len(raw), CHUNK):
            part = raw[start : start + CHUNK]
            squares = _squares(dtype.name, part, reached, width)
            squares[0] += carried
            reached = (reached + len(part)) % width
            carried = float(squares[-1]) if reached else 0.0
            parts.append(squares[:-1] if reached else squares)
    return _summary(np.sqrt(np.concatenate(parts))) if parts else RowNorms(0, None, None, None)


def _squares(dtype: str, raw: NDArray[np.uint8], skipped: int, width: int) -> NDArray[np.float64]:
    """Sums of squares of the rows in some bytes, which begin so many bytes into a row."""
    import numpy as np

    numbers = decode(dtype, raw)
    ends = np.arange(width - skipped, len(raw), width)
    begins = np.concatenate(([0], ends)) * len(numbers) // len(raw)
    with np.errstate(over="ignore", invalid="ignore"):
        found: NDArray[np.float64] = np.add.reduceat(numbers * numbers, begins)
    return found


def _summary(norms: NDArray[np.float64]) -> RowNorms:
    import numpy as np

    finite = norms[np.isfinite(norms)]
    odd = len(norms) - len(finite)
    zero = int(np.count_nonzero(finite == 0))
    if not len(finite):
        return RowNorms(len(norms), None, None, None, zero, odd)
    ends = float(finite.min()), float(np.median(finite)), float(finite.max())
    return RowNorms(len(norms), *ends, zero, odd)
