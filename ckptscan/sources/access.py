"""How sources beyond this disk may be reached, and who is told of what happens on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ckptscan.errors import SourceUnreachable, UsageError

LONGEST = 1e8  # seconds that a wait may be told to last
TIMEOUT = 120.0  # seconds for the whole reading of one source


class Watch(Protocol):
    """Who is told how a reading goes; all calls may come from any thread."""

    def begin(self, files: int) -> None:
        """So many more files will be read."""

    def received(self, nbytes: int) -> None:
        """So many more bytes have come in."""

    def finished(self) -> None:
        """One more file has been read."""

    def asked(self) -> None:
        """One more request is sent."""

    def kept(self) -> None:
        """One more file was at hand in a cache."""

    def opened(self, path: str, nbytes: int) -> None:
        """So many bytes of a file on this disk have been read."""

    def say(self, text: str) -> None:
        """Something a person should know at once, such as why nothing happens for a while."""

    def end(self) -> None:
        """The reading is over, well or not."""


class Silence:
    """A watch that tells nobody."""

    def begin(self, files: int) -> None:
        """Nothing."""

    def received(self, nbytes: int) -> None:
        """Nothing."""

    def finished(self) -> None:
        """Nothing."""

    def asked(self) -> None:
        """Nothing."""

    def kept(self) -> None:
        """Nothing."""

    def opened(self, path: str, nbytes: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


NOBODY = Silence()


class Access(NamedTuple):
    """What the user says of sources that lie elsewhere.

    `revision` is a branch, tag, ref or commit of a repository, `repo_type` one of model, dataset
    and space. `offline` forbids every request, `anonymous` every credential. `timeout` bounds the
    reading of one source, in seconds.
    """

    revision: str | None = None
    repo_type: str | None = None
    offline: bool = False
    anonymous: bool = False
    timeout: float = TIMEOUT
    watch: Watch = NOBODY


class Deadline:
    """When the reading of a source must be over; raises UsageError for no number of seconds."""

    def __init__(self, seconds: float) -> None:
        if not seconds > 0:
            raise UsageError(f"{seconds:g} seconds are no time", "give --timeout a number above 0")
        self._seconds = seconds
        self._end = time.monotonic() + min(seconds, LONGEST)

    def renew(self) -> None:
        """Count the seconds from now: what is read is no longer what they were given for."""
        self._end = time.monotonic() + min(self._seconds, LONGEST)

    def left(self, reached: Callable[[], str] = str) -> float:
        """Seconds that are left; raises SourceUnreachable, with what was reached, without any."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.over(reached())
        return left

    def over(self, reached: str = "") -> SourceUnreachable:
        """The error for a reading that takes too long; `reached` says how far it came."""
        return SourceUnreachable(
            f"not done within {self._seconds:g} seconds" + (f": {reached}" if reached else ""),
            "give it longer with --timeout SECONDS",
        )
