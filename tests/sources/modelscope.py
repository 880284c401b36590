"""A small server that answers as ModelScope's public client expects it to."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.conftest import file_of, index_of

ONE = "model-00001-of-00002.safetensors"
TWO = "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OLDER = "f" * 40
FILES = {
    ONE: file_of({"a.0.weight": ("BF16", [64, 64])}),
    TWO: file_of({"a.1.weight": ("BF16", [64, 64])}),
    INDEX: index_of({"a.0.weight": ONE, "a.1.weight": TWO}),
    "config.json": b'{"architectures":["X"]}',
    "README.md": b"# hello",
    "part/model.safetensors": file_of({"b": ("F32", [4])}),
}
Told = dict[str, Any]


def told(path: str, data: bytes, **facts: object) -> Told:
    """An entry of the list of files."""
    digest = hashlib.sha256(data).hexdigest()
    is_lfs = path.endswith(".safetensors")
    entry = {"Path": path, "Type": "blob", "Size": len(data), "Sha256": digest}
    return {**entry, "IsLFS": is_lfs, "Revision": OLDER, **facts}


def listed(files: list[Told], **latest: str) -> Told:
    """A whole answer."""
    latest = latest or {"Id": COMMIT, "ShortId": COMMIT[:8]}
    return {"Code": 200, "Success": True, "Data": {"Files": files, "LatestCommitter": latest}}


ALL = [{"Path": "part", "Type": "tree", "Size": 0}, *(told(p, data) for p, data in FILES.items())]


class Standin:
    """What the server answers, and what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.store = ""  # where LFS files lie: another origin
        self.files = dict(FILES)
        self.listing: Callable[[dict[str, str]], tuple[int, object]] = lambda _: (200, listed(ALL))
        self.refusal: tuple[int, bytes] | None = None  # of every file
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def queries(self, end: str) -> list[dict[str, str]]:
        return [query for path, query, _ in self.asked if path.endswith(end)]

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes, str]:
        """Status, body, and where it redirects to."""
        if path.startswith("/store/"):
            return 206, self.files[path.removeprefix("/store/")], ""
        if path.endswith("/repo/files"):
            status, document = self.listing(query)
            raw = document if isinstance(document, bytes) else json.dumps(document).encode()
            return status, raw, ""
        if self.refusal:
            return *self.refusal, ""
        name = query["FilePath"]
        if name.endswith(".safetensors"):
            return 302, b"", f"{self.store}/store/{name}"
        return 200, self.files[name], ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    standin: Standin

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.standin.asked.append((parts.path, query, headers))
        status, body, location = self.standin.answer(parts.path, query)
        size, span = len(body), headers.get("range", "")
        if status == 206 and span:
            first, last = span.removeprefix("bytes=").split("-")
            body = body[int(first) : int(last) + 1]
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Standin]:
    """A server on loopback, for as long as it is held."""
    there = Standin()
    handler = type("Here", (Handler,), {"standin": there})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        there.url = f"http://127.0.0.1:{server.server_port}"
        there.store = f"http://localhost:{server.server_port}"
        yield there
        server.shutdown()
