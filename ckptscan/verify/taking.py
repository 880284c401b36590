"""What the bytes of one pick tell as they pass by: whether two readings agree, and their digest."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.verify.judging import HEAD

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.verify.figures import Figures
    from ckptscan.verify.rows import RowNorms

    Bytes = NDArray[np.uint8]

SHRUNK = "its file ended while it was read"


class Twice(NamedTuple):
    """Bytes of a pick as they were loaded and as they were read again; `wanted` is how many."""

    raw: Bytes
    again: Bytes
    wanted: int


class Taken(NamedTuple):
    """What the bytes of a pick told: figures, lengths of rows, their sha256, their first ones."""

    figures: Figures
    head: Bytes
    norms: RowNorms | None
    sha256: str | None
    faults: tuple[str, ...]


class Taking:
    """One pick while its bytes come in, in their order."""

    def __init__(self, digests: bool) -> None:
        import numpy as np

        self.head: Bytes = np.empty(0, "u1")
        self.nbytes = 0
        self._faults: dict[str, None] = {}
        self._digest = sha256() if digests else None

    def note(self, piece: Twice) -> None:
        """Take the next bytes."""
        raw, again, wanted = piece
        is_short = min(len(raw), len(again)) < wanted
        fault = SHRUNK if is_short else _difference(raw, again, self.nbytes)
        if fault:
            self._faults[fault] = None
        if not self.nbytes:
            self.head = raw[:HEAD].copy()
        if self._digest is not None:
            self._digest.update(raw.data)
        self.nbytes += len(raw)

    def taken(self, figures: Figures, norms: RowNorms | None) -> Taken:
        """All that was told."""
        digest = self._digest.hexdigest() if self._digest is not None else None
        return Taken(figures, self.head, norms, digest, tuple(self._faults))


def _difference(raw: Bytes, again: Bytes, start: int) -> str:
    """What two readings of the same bytes differ in; empty where they agree."""
    import numpy as np

    words = len(raw) // 8 * 8  # eight bytes at once: 9 GB/s against 4
    is_same = np.array_equal(raw[:words].view("<u8"), again[:words].view("<u8"))
    if is_same and np.array_equal(raw[words:], again[words:]):
        return ""
    where = np.flatnonzero(raw != again)
    first = start + int(where[0])
    return f"{len(where):,} bytes differ when read again, the first at byte {first:,}"
