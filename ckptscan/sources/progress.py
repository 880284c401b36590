"""How a reading goes, on stderr: a bar where a person looks on, and what must be said at once."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import Any

from ckptscan.names import is_visible

PATIENCE = 0.5  # seconds before a bar is shown


class Bar:
    """A watch that draws a bar on a terminal, of files, bytes and their rate; else says, at most.

    tqdm is imported once a reading has taken long enough.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files = self._done = self._bytes = 0
        self._start = 0.0
        self._bar: Any = None

    def begin(self, files: int) -> None:
        """So many more files will be read."""
        with self._lock:
            self._start = self._start or time.monotonic()
            self._files += files

    def received(self, nbytes: int) -> None:
        """So many more bytes have come in."""
        with self._lock:
            self._bytes += nbytes
            self._draw()

    def finished(self) -> None:
        """One more file has been read."""
        with self._lock:
            self._done += 1
            self._draw()

    def asked(self) -> None:
        """Nothing: bytes tell more."""

    def kept(self) -> None:
        """Nothing: it took no time."""

    def opened(self, path: str, nbytes: int) -> None:
        """Nothing: it took no time."""

    def say(self, text: str) -> None:
        """A line on stderr, also where it is no terminal."""
        with self._lock:
            line = f"note: {text if is_visible(text) else ascii(text)}"
            with suppress(OSError, ValueError):  # nobody can be told
                if self._bar is not None:
                    self._bar.write(line, file=sys.stderr)
                elif sys.stderr is not None:
                    sys.stderr.write(f"{line}\n")

    def end(self) -> None:
        """Take the bar away."""
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._bar = None
            self._files = self._done = self._bytes = 0
            self._start = 0.0

    def _draw(self) -> None:
        if self._bar is None:
            is_early = time.monotonic() - self._start < PATIENCE
            if is_early or not self._files or not _is_watched():
                return
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._files,
                unit="file",
                desc="headers",
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
            )
        seconds = time.monotonic() - self._start
        rate = self._bytes / seconds / 1e6 if seconds else 0
        self._bar.total = self._files
        self._bar.set_postfix_str(f"{self._bytes / 1e6:.1f} MB, {rate:.1f} MB/s", refresh=False)
        self._bar.update(self._done - self._bar.n)


class Meter:
    """How a reading of many bytes goes: a bar of bytes with rate and time left, on a terminal."""

    def __init__(self, what: str, *, is_hidden: bool = False) -> None:
        self._what = what
        self._is_hidden = is_hidden
        self._start = time.monotonic()
        self._done = self._total = 0
        self._bar: Any = None

    def begin(self, total: int) -> None:
        """So many more bytes will be read."""
        self._total += total
        if self._bar is not None:
            self._bar.total = self._total

    def advance(self, nbytes: int) -> None:
        """So many more bytes have been read."""
        self._done += nbytes
        if self._bar is None:
            is_early = time.monotonic() - self._start < PATIENCE
            if self._is_hidden or is_early or not _is_watched():
                return
            from tqdm import tqdm

            self._bar = tqdm(
                total=self._total,
                unit="B",
                unit_scale=True,
                unit_divisor=1024,
                desc=self._what,
                file=sys.stderr,
                leave=False,
                dynamic_ncols=True,
            )
        self._bar.update(self._done - self._bar.n)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None


def _is_watched() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False
