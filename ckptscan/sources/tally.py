"""What a reading took: files, bytes, requests, what caches held, seconds."""

from __future__ import annotations

import threading
import time

from ckptscan.sources.access import Watch


class Tally:
    """A watch that counts, and tells another one all that it is told."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._local: set[str] = set()
        self._local_bytes = self._files = self._bytes = self._requests = self._kept = 0

    def begin(self, files: int) -> None:
        """So many more files will be read."""
        self._watch.begin(files)

    def asked(self) -> None:
        """One more request is sent."""
        with self._lock:
            self._requests += 1
        self._watch.asked()

    def received(self, nbytes: int) -> None:
        """So many more bytes have come in."""
        with self._lock:
            self._bytes += nbytes
        self._watch.received(nbytes)

    def finished(self) -> None:
        """One more file has been read."""
        with self._lock:
            self._files += 1
        self._watch.finished()

    def kept(self) -> None:
        """One more file was at hand in a cache."""
        with self._lock:
            self._kept += 1
        self._watch.kept()

    def opened(self, path: str, nbytes: int) -> None:
        """So many bytes of a file on this disk have been read."""
        with self._lock:
            self._local.add(path)
            self._local_bytes += nbytes
        self._watch.opened(path, nbytes)

    def say(self, text: str) -> None:
        """Something a person should know at once."""
        self._watch.say(text)

    def end(self) -> None:
        """The reading is over, well or not."""
        self._watch.end()

    def told(self) -> str:
        """All of it in a line: `4 files on disk (33,920 bytes), 0.12 s`."""
        with self._lock:
            parts = [
                (len(self._local), "file", f" on disk ({self._local_bytes:,} bytes)"),
                (self._files, "file", f" over the net ({self._bytes:,} bytes)"),
                (self._requests, "request", ""),
                (self._kept, "file", " in caches"),
            ]
        seconds = time.monotonic() - self._start
        shown = [f"{count:,} {noun}{'s' * (count != 1)}{of}" for count, noun, of in parts if count]
        return ", ".join([*(shown or ["nothing"]), f"{seconds:.2f} s"])
