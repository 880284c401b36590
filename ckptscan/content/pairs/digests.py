"""Digests of whole tensors, kept between runs: equal ones prove two tensors equal, unread."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock

from ckptscan.content.keeping import memory_of
from ckptscan.content.pairs.fetching import Place
from ckptscan.content.pairs.values import Pair

_PURPOSE = "digests"


class Digests:
    """The sha256 of tensors of one side by row; those of an earlier run are known at once."""

    def __init__(self, place: Place) -> None:
        checkpoint = place.side.structure.checkpoint
        self._memory = memory_of(checkpoint, place.stamps, None, 0, _PURPOSE)
        self._lock = Lock()
        self._known: dict[int, str] = {}
        self._is_new = False
        held = self._memory.load() if self._memory is not None else None
        digests = held.get(_PURPOSE) if held else None
        if isinstance(digests, Mapping):
            self._known = {
                int(row): str(one) for row, one in digests.items() if str(row).isdecimal()
            }

    def get(self, row: int) -> str | None:
        """The digest of a tensor, None where it is not known."""
        return self._known.get(row)

    def note(self, row: int, digest: str) -> None:
        """A tensor was read whole."""
        with self._lock:
            self._is_new |= self._known.get(row) != digest
            self._known[row] = digest

    def keep(self) -> None:
        """Keep what is new for the next run."""
        if self._memory is not None and self._is_new:
            with self._lock:
                self._memory.save({_PURPOSE: {str(row): one for row, one in self._known.items()}})


def whole_rows(a: Place, b: Place, pair: Pair) -> tuple[int, int] | None:
    """The rows of a pair whose digests tell whether it is the same; None where they do not."""
    if len(pair.runs) != 1:
        return None
    run = pair.runs[0]
    sizes = {place.nbytes_of(row) for place, row in ((a, run.a), (b, run.b))}
    is_whole = sizes == {run.units * run.widths[0]}
    return (run.a, run.b) if is_whole and not run.is_cast and not run.is_turned else None
