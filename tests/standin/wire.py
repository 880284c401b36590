"""HTTP/1.1 over sockets: requests in, replies out, no route and no content.

http.server parses headers as mail, which costs more time than all else here; a benchmark of a
client wants a server that is cheap.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

REASONS = {status.value: status.phrase for status in HTTPStatus}
MAX_HEAD = 1 << 20
ONE_WRITE = 1 << 19  # bytes; larger bodies are streamed
RESET = struct.pack("ii", 1, 0)  # l_onoff, l_linger: close sends RST

Ending = Literal["keep", "close", "reset", "stall"]


@dataclass
class Request:
    """One request as it came, and what became of it; header names are in lower case.

    `file` is the path in its repository; for requests to the API it is the repository's id.
    """

    origin: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    content: bytes = field(default=b"", repr=False)
    stage: str = ""
    file: str = ""
    status: int = 0
    sent_bytes: int = 0

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers.get("range")

    @property
    def target(self) -> str:
        """Path and query as they came."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass
class Reply:
    """What to send. `pieces` is a body too large to hold; `cut` are the bytes of it to send.

    `length` is what Content-Length says; status 0 sends nothing at all.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    pieces: Iterable[bytes] | None = None
    length: int | None = None
    cut: int | None = None
    interval: float = 0.0
    ending: Ending = "keep"

    @property
    def is_plain(self) -> bool:
        """Whether it is small, and sent whole and at once."""
        return self.pieces is None and self.cut is None and not self.interval

    def head(self) -> bytes:
        """Status line and headers."""
        length = len(self.body) if self.length is None else self.length
        lines = [f"HTTP/1.1 {self.status} {REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {text}" for name, text in self.headers.items()]
        if self.ending == "close":
            lines.append("Connection: close")
        lines.append(f"Content-Length: {length}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1", "replace")


Answer = Callable[[Request], Reply]


def parsed(origin: str, head: bytes) -> Request:
    """The request of a head, which ends before its empty line; raises ValueError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    path, _, query = target.partition("?")
    headers = {}
    for line in lines:
        name, _, text = line.partition(":")
        headers[name.lower()] = text.strip()
    return Request(origin, method, path, query, headers)


def received(connection: socket.socket, origin: str) -> Iterator[Request]:
    """The requests of a connection, until the client closes it."""
    buffer = b""
    while True:
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            more = connection.recv(1 << 16)
            if not more or len(buffer) > MAX_HEAD:
                return
            buffer += more
        try:
            request = parsed(origin, buffer[:end])
            length = int(request.headers.get("content-length", 0))
        except ValueError:
            return
        buffer = buffer[end + 4 :]
        while len(buffer) < length:
            more = connection.recv(1 << 16)
            if not more:
                return
            buffer += more
        request.content, buffer = buffer[:length], buffer[length:]
        yield request
        if request.headers.get("connection", "").lower() == "close":
            return


class Listener:
    """A listening socket of one origin, with a thread for each connection."""

    def __init__(self, name: str, host: str, address: str, answer: Answer) -> None:
        self.name = name
        self._answer = answer
        self._socket = socket.create_server((address, 0), backlog=1024)
        self._address = self._socket.getsockname()
        self.url = f"http://{host}:{self._address[1]}"
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close all connections and wait for their threads."""
        self._stop.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self._address[:2], timeout=1).close()  # wakes accept()
        self._thread.join(5)
        self._socket.close()
        with self._lock:
            threads = dict(self._open)
        for connection in threads.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stop.is_set():
            connection, _ = self._socket.accept()
            if self._stop.is_set():
                connection.close()
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._open[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in received(connection, self.name):
                reply = self._answer(request)
                request.status = reply.status
                self._send(connection, request, reply)
                if reply.ending != "keep":
                    self._end(connection, reply.ending)
                    break
        with self._lock:
            self._open.pop(threading.current_thread(), None)

    def _send(self, connection: socket.socket, request: Request, reply: Reply) -> None:
        if not reply.status:
            return
        if request.method == "HEAD":
            connection.sendall(reply.head())
        elif reply.is_plain:
            request.sent_bytes = len(reply.body)
            connection.sendall(reply.head() + reply.body)
        else:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 17)
            connection.sendall(reply.head())
            for piece in limited(reply.pieces or [reply.body], reply.cut, reply.interval):
                request.sent_bytes += len(piece)
                connection.sendall(piece)
                if reply.interval and self._stop.wait(reply.interval):
                    return

    def _end(self, connection: socket.socket, ending: Ending) -> None:
        if ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        while ending == "stall" and not self._stop.is_set():
            readable, _, _ = select.select([connection], [], [], 0.05)
            if readable and not connection.recv(1 << 16):
                return


def limited(pieces: Iterable[bytes], cut: int | None, interval: float) -> Iterator[bytes]:
    """The pieces up to so many bytes; single bytes where there is an interval between them."""
    left = cut
    for piece in pieces:
        taken = piece if left is None else piece[:left]
        if interval:
            yield from (taken[at : at + 1] for at in range(len(taken)))
        elif taken:
            yield taken
        if left is not None:
            left -= len(taken)
            if not left:
                return


def json_reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    """A reply of JSON."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status, kind | dict(headers or {}), body)
