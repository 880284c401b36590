"""The switches that make the stand-in misbehave; each counts the requests that it hit."""

from __future__ import annotations

import fnmatch
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

# Name -> what it does, and its value. Stages: api, resolve, cache (small files), cdn, plain, evil,
# cas.
KNOWN = {
    # the connection
    "stall_before": "take the request and say nothing",
    "drop": "close the connection without an answer",
    "html_200": "answer 200 with a page of html, as captive portals do",
    "status": "answer this status; value: code, or (code, headers)",
    "huge_headers": "add headers; value: (how many, bytes of each), default (1, 100000)",
    "set_cookie": "set a cookie on the hub origin",
    # bytes of files
    "ignore_range": "answer 200 with the whole file",
    "wrong_content_range": "value: start, total, garbage, missing",
    "short_body": "promise all, send value bytes (default half), close",
    "lying_length": "answer 206 with value bytes fewer than asked for, default half",
    "reset": "send value bytes (default half), then RST",
    "stall": "send headers and value bytes (default 1), then nothing",
    "drip": "send a byte each value seconds, default 0.2",
    "gzip": "gzip unasked; value: range (gzip of the range), file (range of the gzip)",
    "other_size": "serve a file longer by value bytes than is listed (shorter where negative)",
    "no_etag": "leave ETag and X-Linked-ETag out",
    # the way to a file
    "expired_url": "403 for a signed url once it was used value times, default 0",
    "redirect_loop": "resolve redirects to itself",
    "redirect_to": "resolve redirects to value, any text; None leaves Location out",
    "redirect_evil": "resolve redirects to the third origin, which serves the same bytes",
    "redirect_relative": "resolve gives 307 and a relative address for LFS files too",
    "direct": "resolve answers with the bytes itself, as mirrors do",
    "wrong_commit": "X-Repo-Commit is value, default another sha",
    "xet": "give X-Xet-Hash and its Link with LFS files",
    # the api
    "move_branch": "after this call main points to value, default the commit added last",
    "no_sizes": "lists have no size, blobId or lfs, the tree neither",
    "no_blobs": "blobs=true is not honoured; the tree has sizes",
    "tree_error": "the tree answers status value, default 500",
    "bad_json": "value: truncated, list, nulls, huge, digits, deep, types, text, empty",
    "siblings": "add names to the list; value: the names, see HOSTILE",
    # content stored by Xet
    "no_xet": "the tree has no xetHash",
    "cas_url": "casUrl is value",
    "cas_token": "the answer that should give a token is value, JSON or bytes",
    "cas_expired": "a token is refused once it was used value times, default 0",
    "cas_answer": "value: what is wrong with the terms, see cas.spoiled",
    "cas_v2": "version 1 of the API is not there",
    "cas_whole": "ranges are ignored: the terms are those of the whole file",
    "cas_untrimmed": "terms are not cut to the chunks that a range needs",
}
HOSTILE = (
    "../x.safetensors",
    "/etc/passwd",
    "C:\\x.safetensors",
    "http://evil/x.safetensors",
    "a/../../x.safetensors",
    "a//b.safetensors",
    "./a.safetensors",
    "\x1b[2Jx\x00\n.safetensors",
    "\u202egpj.safetensors",
    "",
)


@dataclass
class Switch:
    """One fault: what it is for, how often it comes, how often it came.

    `path` is a pattern of a file's path; on the stage api of the repository's id.
    """

    path: str = "*"
    times: int | None = None
    value: Any = None
    stage: str | None = None
    hits: int = 0

    def fits(self, path: str, stage: str) -> bool:
        """Whether it is for this request and not used up."""
        return (
            (self.times is None or self.hits < self.times)
            and self.stage in (None, stage)
            and fnmatch.fnmatchcase(path, self.path)
        )


@dataclass
class Faults:
    """All that is wrong with the stand-in now; may be changed while it serves.

    `latency` is in seconds, before each answer; `page_size` entries are on a page of a tree.
    """

    latency: float = 0.0
    page_size: int = 1000
    switches: dict[str, list[Switch]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def on(
        self,
        name: str,
        value: Any = None,
        *,
        path: str = "*",
        times: int | None = None,
        stage: str | None = None,
    ) -> Switch:
        """Add a fault; of several with one name the first that fits is taken."""
        if name not in KNOWN:
            raise KeyError(f"no fault is called {name!r}; see faults.KNOWN")
        switch = Switch(path, times, value, stage)
        with self._lock:
            self.switches[name] = [*self.switches.get(name, ()), switch]
        return switch

    def off(self, *names: str) -> None:
        """Take these faults away; all, where none is named."""
        with self._lock:
            for name in names or [*self.switches]:
                self.switches.pop(name, None)

    def hit(self, name: str, path: str = "", stage: str = "") -> Switch | None:
        """The fault of this name for a request, counted; None where there is none."""
        if name not in self.switches:  # nearly always; no lock is taken for it
            return None
        with self._lock:
            for switch in self.switches.get(name, ()):
                if switch.fits(path, stage):
                    switch.hits += 1
                    return switch
        return None


def limited(seconds: int, kind: str = "resolvers") -> tuple[int, dict[str, str]]:
    """The value of a status: 429 with the Hub's RateLimit header."""
    return 429, {"RateLimit": f'"{kind}";r=0;t={seconds}'}


def retry_after(code: int, seconds: int) -> tuple[int, dict[str, str]]:
    """The value of a status: Retry-After in seconds."""
    return code, {"Retry-After": str(seconds)}


def retry_after_date(code: int, seconds: int) -> tuple[int, dict[str, str]]:
    """The value of a status: Retry-After as a date."""
    return code, {"Retry-After": formatdate(time.time() + seconds, usegmt=True)}
