"""Whether a difference is a matrix of low rank, found in one pass over its rows.

A sketch: the difference times a thin random matrix has its rank, as long as that is below the
width of the sketch. Rounding to the dtype that is stored adds noise of full rank and known size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.pairs.values import Figures

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 64  # ranks above are not low
_WIDTH = 80
_LEAST = 128  # rows and columns below which no rank is low
_LARGEST = 64 << 20  # bytes of one sketch
_SHARE = 0.05  # of the elements that differ, below which rows or elements were edited
_NOISE = 0.3  # of the difference, above which rounding hides its rank
_SPARE = 2.0  # times the noise that is expected


def is_asked(rows: int, columns: int) -> bool:
    """Whether a matrix is large enough for a rank to be low, and small enough for a sketch."""
    return min(rows, columns) >= _LEAST and (rows + columns) * _WIDTH * 4 <= _LARGEST


class Sketch:
    """The sketch of one difference, filled row by row."""

    def __init__(self, rows: int, columns: int) -> None:
        import numpy as np

        draw = np.random.default_rng(rows * 1_000_003 + columns)
        self._thin = draw.standard_normal((columns, _WIDTH), dtype="f4")
        self._rows = np.zeros((rows, _WIDTH), "f4")

    def add(self, first: int, delta: NDArray[np.float64]) -> None:
        """Take the difference of some rows."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            self._rows[first : first + len(delta)] = delta.astype("f4") @ self._thin

    def rank(self, figures: Figures) -> int | None:
        """The numerical rank of the difference where it is low, up to what rounding explains."""
        import numpy as np

        is_dense = figures.different >= _SHARE * figures.seen
        noise = figures.noise / figures.squares if figures.squares else 1.0
        if not is_dense or noise > _NOISE or not np.isfinite(self._rows).all():
            return None
        rows = self._rows.astype("f8")
        energy = np.maximum(np.linalg.eigvalsh(rows.T @ rows)[::-1], 0)
        left = 1 - np.cumsum(energy) / energy.sum()
        unseen = (_WIDTH - 1 - np.arange(_WIDTH)) / _WIDTH  # noise is alike in all directions
        rank = int(np.argmax(left <= _SPARE * noise * unseen + 1e-9)) + 1
        return rank if rank <= MOST else None
