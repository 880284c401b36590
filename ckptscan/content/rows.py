"""Rows of a table while it is read: a number for the bytes of each, and its largest element."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ckptscan.content.formats import LAYOUTS, decode
from ckptscan.content.measuring import random_words
from ckptscan.content.values import RowUse
from ckptscan.names import IndexSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_ROWS = 1 << 22  # of one table; real vocabularies have up to 300,000
SHOWN = 200  # ranges of rows that are told
_SMALL = 1e-3  # of the median row's largest element; trained rows lie within a factor of ten


class Looked(NamedTuple):
    """What a block holds of rows from `first` on."""

    first: int
    sums: NDArray[np.uint64]
    largest: NDArray[np.uint64]


class RowTally:
    """The rows of one table of floats, whose rows are whole words of eight bytes."""

    def __init__(self, dtype: str, rows: int, row_bytes: int) -> None:
        import numpy as np

        self._dtype = dtype
        self._row = row_bytes
        self._sums = np.zeros(rows, "<u8")
        self._largest = np.zeros(rows, "<u8")  # magnitudes as their bits; in order as numbers are
        self._weights = random_words(row_bytes // 8)

    def look(self, start: int, raw: NDArray[np.uint8]) -> Looked:
        """What the bytes of the table from there add; rows may be cut by the ends of a block."""
        import numpy as np

        first, skipped = divmod(start, self._row)
        words = raw.view("<u8")
        turn = np.concatenate((self._weights[skipped // 8 :], self._weights[: skipped // 8]))
        weighted = words * np.resize(turn, len(words))
        last = (start + len(raw) - 1) // self._row
        begins = np.maximum(np.arange(first, last + 1) * self._row - start, 0)
        sums = np.add.reduceat(weighted, begins // 8)
        width = LAYOUTS[self._dtype].bits // 8
        magnitudes = raw.view(f"<u{width}") << 1
        return Looked(first, sums, np.maximum.reduceat(magnitudes, begins // width).astype("<u8"))

    def add(self, looked: Looked) -> None:
        """Take what was found of some rows."""
        import numpy as np

        place = slice(looked.first, looked.first + len(looked.sums))
        self._sums[place] += looked.sums
        np.maximum(self._largest[place], looked.largest, out=self._largest[place])

    def use(self) -> RowUse:
        """The rows that look untrained."""
        import numpy as np

        size = self._sizes()
        finite = size[np.isfinite(size)]
        usual = float(np.median(finite)) if len(finite) else 0.0
        is_small = size <= usual * _SMALL
        _, which, counts = np.unique(self._sums, return_inverse=True, return_counts=True)
        is_same = (counts[which.reshape(-1)] > 1) & ~is_small
        return RowUse(
            len(size),
            _ranges(is_small),
            int(np.count_nonzero(is_small)),
            _ranges(is_same),
            int(np.count_nonzero(is_same)),
        )

    def _sizes(self) -> NDArray[np.float64]:
        """The largest magnitude of each row as a number."""
        import numpy as np

        layout = LAYOUTS[self._dtype]
        bits = (self._largest >> np.uint64(1)).astype(f"<u{layout.bits // 8}")
        return decode(self._dtype, bits.view("u1"))

    def state(self) -> dict[str, str]:
        """All that goes into a file, to go on from there."""
        held = {"sums": self._sums, "largest": self._largest}
        return {name: b64encode(column.tobytes()).decode() for name, column in held.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there; raises ValueError, KeyError or TypeError for what is no such state."""
        import numpy as np

        sums = np.frombuffer(b64decode(state["sums"]), "<u8").copy()
        largest = np.frombuffer(b64decode(state["largest"]), "<u8").copy()
        if len(sums) != len(self._sums) or len(largest) != len(sums):
            raise ValueError("a state of another table")
        self._sums, self._largest = sums, largest


def _ranges(flags: NDArray[np.bool_]) -> str:
    """The rows with a flag as `0-3,7`; the first ones, where there are many ranges."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype("i1"), [0]))))
    ranges = zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
    return str(IndexSet(tuple(ranges)[:SHOWN]))
