"""A bare client for tests: one request, no redirect followed, nothing interpreted."""

from __future__ import annotations

import contextlib
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.standin.server import Standin

TIMEOUT = 10.0  # seconds without a byte


@dataclass(frozen=True)
class Got:
    """An answer; header names are in lower case, the body is what came, be it all or not."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool = True

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


def ask(url: str, method: str = "GET", **headers: str) -> Got:
    """Ask once; raises OSError or HTTPException where there is no answer at all."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.request(method, target, headers=headers)
        with contextlib.closing(connection.getresponse()) as response:
            kept = {name.lower(): text for name, text in response.getheaders()}
            body = b""
            with contextlib.suppress(OSError, http.client.HTTPException):
                while piece := response.read1(1 << 16):
                    body += piece
            is_whole = method == "HEAD" or len(body) == int(kept["content-length"])
            return Got(response.status, kept, body, is_whole)


def bytes_of(standin: Standin, repo_id: str, path: str, **headers: str) -> Got:
    """The bytes of a file, behind whatever redirect it has."""
    got = ask(f"{standin.endpoint}/{repo_id}/resolve/main/{path}", "GET", **headers)
    if got.status not in (302, 307):
        return got
    location = got.headers["location"]
    url = standin.endpoint + location if location.startswith("/") else location
    return ask(url, "GET", **headers)
