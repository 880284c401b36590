"""What blocks of a tensor hold, added up in any order, kept between runs, and summed at the end."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ckptscan.content.measuring import PAGE, Partial, together
from ckptscan.content.rows import Looked, RowTally
from ckptscan.content.values import RowUse, Statistics
from ckptscan.names import IndexSet

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tally:
    """One tensor while it is read; its `pieces` are numbered by where they begin."""

    def __init__(
        self,
        numel: int,
        nbytes: int,
        pieces: Iterable[int],
        rows: RowTally | None = None,
        page: int = PAGE,
    ) -> None:
        import numpy as np

        self.numel = numel
        self.rows = rows
        self._page = page
        self._left = set(pieces)
        self._done: dict[int, Partial] = {}
        self._sums = np.zeros(-(-nbytes // page), "<u8")
        self._read = np.zeros(len(self._sums), "?")

    def __contains__(self, start: int) -> bool:
        return start in self._done

    @property
    def is_done(self) -> bool:
        """Whether all pieces are in."""
        return not self._left

    def add(
        self, start: int, partial: Partial, sums: NDArray[np.uint64], looked: Looked | None = None
    ) -> None:
        """Take what a piece holds that begins at this byte of the tensor, once."""
        if self.rows is not None and looked is not None:
            self.rows.add(looked)
        first = start // self._page
        self._sums[first : first + len(sums)] = sums
        self._read[first : first + len(sums)] = True
        self._done[start] = partial
        self._left.discard(start)

    def statistics(self) -> Statistics:
        """All pieces together; the order in which they came in does not matter."""
        sums = self._sums[self._read]
        return Statistics(
            self.numel,
            *together([self._done[start] for start in sorted(self._done)]),
            fingerprint=sha256(sums.tobytes()).hexdigest()[:32],
            hole=self._hole(),
            repeats=_repeats(sums),
            pages=len(sums),
        )

    def use(self) -> RowUse | None:
        """The rows that look untrained, where it is a table."""
        return self.rows.use() if self.rows is not None else None

    def _hole(self) -> tuple[int, int]:
        """Where the longest run of whole pages of zeros begins, and its bytes."""
        import numpy as np

        if self._sums.all():
            return 0, 0
        empty = np.zeros(len(self._sums) + 2, "i1")
        empty[1:-1] = (self._sums == 0) & self._read
        edges = np.flatnonzero(np.diff(empty))
        if not len(edges):
            return 0, 0
        begins, ends = edges[::2], edges[1::2]
        longest = int(np.argmax(ends - begins))
        start, end = int(begins[longest]), int(ends[longest])
        return start * self._page, (end - start) * self._page

    def state(self) -> dict[str, Any]:
        """All that goes into a file, to go on from there."""
        return {
            "done": {str(start): list(part) for start, part in self._done.items()},
            "sums": b64encode(self._sums.tobytes()).decode(),
            "read": str(IndexSet.of(self._read.nonzero()[0].tolist())),
            "rows": self.rows.state() if self.rows is not None else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there; raises ValueError, KeyError or TypeError for what is no such state."""
        import numpy as np

        sums = np.frombuffer(b64decode(state["sums"]), "<u8").copy()
        if len(sums) != len(self._sums):
            raise ValueError("a state of another tensor")
        if self.rows is not None:
            self.rows.restore(state["rows"])
        self._done = {int(start): Partial(*part) for start, part in state["done"].items()}
        self._sums = sums
        self._read[list(IndexSet.parse(state["read"]))] = True
        self._left -= self._done.keys()


def _repeats(sums: NDArray[np.uint64]) -> int:
    """How many pages hold what another holds; those of zeros are left out."""
    import numpy as np

    held = np.sort(sums[sums != 0])  # np.unique would import numpy.ma, 13 ms
    return int(np.count_nonzero(held[1:] == held[:-1]))
