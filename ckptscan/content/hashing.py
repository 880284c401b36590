"""Digests of what is read in blocks by several threads, each block in its turn."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from hashlib import sha256
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BROKEN = -1  # bytes are missing: there will be no digest
_LOOK = 0.1  # seconds between looks whether all is over


class Hashing:
    """The sha256 of several things at once; threads that come too early wait."""

    def __init__(self, is_over: threading.Event) -> None:
        self.is_over = is_over
        self._turn = threading.Condition()
        self._states: dict[Hashable, Any] = {}
        self._reached: dict[Hashable, int] = {}

    def feed(self, key: Hashable, turn: int, length: int, raw: NDArray[np.uint8]) -> None:
        """Add bytes that begin at `turn` and should be `length`, once all before them are in."""
        with self._turn:
            while self._reached.setdefault(key, 0) != turn:
                if self.is_over.is_set() or self._reached[key] < 0:
                    return
                self._turn.wait(_LOOK)
            state = self._states.setdefault(key, sha256())
        state.update(raw)  # nobody else has this turn
        with self._turn:
            self._reached[key] = turn + length if len(raw) == length else _BROKEN
            self._turn.notify_all()

    def digest(self, key: Hashable, length: int) -> str | None:
        """The sha256 of a thing, once all its bytes are in."""
        with self._turn:
            if self._reached.get(key, 0) != length:
                return None
            found: str = self._states.get(key, sha256()).hexdigest()
            return found
