"""The stand-in itself: a hub, a CDN on another host name, a third origin that only listens, a CAS."""

from __future__ import annotations

import base64
import contextlib
import fnmatch
import hashlib
import itertools
import socket
import threading
import time
from types import TracebackType
from typing import NamedTuple
from urllib.parse import parse_qs, quote, unquote

from tests.standin.cas import Cas
from tests.standin.content import Blob, Repository, blob_of
from tests.standin.faults import Faults, Switch
from tests.standin.hub import Hub, error, routed
from tests.standin.ranges import file_reply
from tests.standin.wire import Listener, Reply, Request

PORTAL = b"<!doctype html><title>Sign in</title><p>Accept the terms to use this network."
EXPIRES = 4_102_444_800  # 2100-01-01


class Signed(NamedTuple):
    """What a signature stands for."""

    path: str
    blob: Blob


class Standin:
    """A local Hub, to be used as a context manager; holds what it serves and what was asked.

    `tokens` open gated and private repositories; `outsiders` are valid and open none. `static`
    are files below /plain/ on the CDN; below /plain-auth/ they want user:pw.
    """

    def __init__(self, *repositories: Repository, latency: float = 0.0) -> None:
        self.faults = Faults(latency=latency)
        self.tokens = {"hf_standin"}
        self.outsiders = {"hf_outsider"}
        self.static: dict[str, Blob] = {}
        self.requests: list[Request] = []
        self._repositories: dict[tuple[str, str], Repository] = {}
        self._signed: dict[str, Signed] = {}
        self._uses: dict[str, int] = {}  # uses left of signatures that expire
        self._lock = threading.Lock()
        self._serial = itertools.count(1)
        self._hub = Hub(self)
        self._listeners: list[Listener] = []
        self._cas = Cas(self.faults, lambda: list(self._repositories.values()))
        self.endpoint = self.cdn = self.evil = self.cas = ""
        for repository in repositories:
            self.add(repository)

    def __enter__(self) -> Standin:
        third = Listener("evil", *_third_host(), self._answer)
        self._listeners = [
            Listener("hub", "127.0.0.1", "127.0.0.1", self._answer),
            Listener("cdn", "localhost", "127.0.0.1", self._answer),
            third,
            Listener("cas", "localhost", "127.0.0.1", self._answer),
        ]
        urls = (listener.url for listener in self._listeners)
        self.endpoint, self.cdn, self.evil, self.cas = urls
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, also those that a fault holds open."""
        for listener in self._listeners:
            listener.close()
        self._listeners = []

    # what it serves ------------------------------------------------------------------------------

    def add(self, repository: Repository) -> Repository:
        """Serve a repository, in place of one of its name."""
        self._repositories[repository.repo_type, repository.repo_id] = repository
        return repository

    def repository(self, repo_type: str, repo_id: str) -> Repository | None:
        """The repository of this name."""
        return self._repositories.get((repo_type, repo_id))

    def put(self, path: str, content: bytes | Blob) -> str:
        """Serve a plain file on the CDN, give its address."""
        self.static[path] = content if isinstance(content, Blob) else blob_of(path, content)
        return f"{self.cdn}/plain/{quote(path)}"

    def signed(self, path: str, blob: Blob, to_evil: bool) -> str:
        """A signed address of a file, another one each time."""
        signature = hashlib.sha1(b"%d" % next(self._serial)).hexdigest()
        self._signed[signature] = Signed(path, blob)
        name = quote(path.rpartition("/")[2])
        return (
            f"{self.evil if to_evil else self.cdn}/repos/{blob.oid[:2]}/{blob.oid[2:4]}/{blob.etag}"
            f"?response-content-disposition=inline%3B+filename%3D%22{name}%22"
            f"&Expires={EXPIRES}&Key-Pair-Id=KSTANDIN&Signature={signature}"
        )

    def xet_token(self, repository: Repository, commit: str) -> bytes:
        """The body of an answer that gives a token for content stored by Xet."""
        return self._cas.grant(self.cas, repository, commit)

    # what was asked ------------------------------------------------------------------------------

    def asked(self, origin: str | None = None, file: str | None = None) -> list[Request]:
        """The requests to an origin (hub, cdn, evil, cas) and for files of a pattern."""
        return [
            request
            for request in list(self.requests)
            if origin in (None, request.origin)
            and (file is None or fnmatch.fnmatchcase(request.file, file))
        ]

    def count(self, origin: str | None = None, file: str | None = None) -> int:
        """How many requests there were."""
        return len(self.asked(origin, file))

    def body_bytes(self, file: str = "*", origin: str | None = None) -> int:
        """Bytes of bodies that were sent for files of a pattern."""
        return sum(request.sent_bytes for request in self.asked(origin, file))

    def clear(self) -> None:
        """Forget the requests."""
        self.requests.clear()

    # answers -------------------------------------------------------------------------------------

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.faults.latency:
            time.sleep(self.faults.latency)
        if request.origin == "hub":
            target = routed(request)
            reply = self._disturbed(request) or self._hub(request, target)
        elif request.origin == "cas":
            blob = self._cas.noted(request)
            reply = self._disturbed(request) or self._cas(request, blob)
        else:
            found = self._found(request)
            reply = self._disturbed(request) or self._delivered(request, found)
        return self._decorated(request, reply)

    def _disturbed(self, request: Request) -> Reply | None:
        """The answer of a fault that takes the whole request."""
        if not self.faults.switches:
            return None
        where = request.file, request.stage
        if self.faults.hit("stall_before", *where):
            return Reply(0, ending="stall")
        if self.faults.hit("drop", *where):
            return Reply(0, ending="close")
        if self.faults.hit("html_200", *where):
            return Reply(200, {"Content-Type": "text/html; charset=utf-8"}, PORTAL)
        if switch := self.faults.hit("status", *where):
            return _failed(switch, request.origin)
        return None

    def _decorated(self, request: Request, reply: Reply) -> Reply:
        if not self.faults.switches:
            return reply
        where = request.file, request.stage
        if switch := self.faults.hit("huge_headers", *where):
            number, size = switch.value or (1, 100_000)
            reply.headers |= {f"X-Filler-{at}": "x" * size for at in range(number)}
        if request.origin == "hub" and self.faults.hit("set_cookie", *where):
            reply.headers["Set-Cookie"] = "token=secret; Path=/"
        return reply

    def _found(self, request: Request) -> Signed | Reply:
        """The file that an address of the CDN stands for, noted in the request, or an error."""
        folder, _, path = unquote(request.path).lstrip("/").partition("/")
        request.stage = "evil" if request.origin == "evil" else "cdn"
        if folder in ("plain", "plain-auth"):
            request.stage, request.file = "plain", path
            if folder == "plain-auth" and not _is_user(request):
                return Reply(401, {"WWW-Authenticate": 'Basic realm="files"'}, b"Unauthorized")
            blob = self.static.get(path)
            return Signed(path, blob) if blob else Reply(404, {}, b"Not Found")
        signature = parse_qs(request.query).get("Signature", [""])[0]
        found = self._signed.get(signature)
        if found is None:
            return _denied(403, "AccessDenied", "Access Denied")
        request.file = found.path
        return found

    def _delivered(self, request: Request, found: Signed | Reply) -> Reply:
        if isinstance(found, Reply):
            return found
        if request.stage == "cdn":
            if "authorization" in request.headers:
                return _denied(400, "InvalidArgument", "Only one auth mechanism allowed")
            if self._is_expired(request):
                return _denied(403, "AccessDenied", "Request has expired")
        if request.stage == "plain" and (switch := self.faults.hit("redirect_to", found.path)):
            return Reply(302, {"Location": switch.value} if switch.value is not None else {})
        if request.stage == "plain" and self.faults.hit("redirect_loop", found.path):
            return Reply(302, {"Location": request.target})
        headers = {"ETag": f'"{found.blob.etag}"'}
        return file_reply(request, found.blob, headers, self.faults)

    def _is_expired(self, request: Request) -> bool:
        signature = request.query.rpartition("=")[2]
        if not self._uses and "expired_url" not in self.faults.switches:
            return False
        with self._lock:
            if signature not in self._uses:
                switch = self.faults.hit("expired_url", request.file, "cdn")
                self._uses[signature] = (switch.value or 0) if switch else 10**9
            self._uses[signature] -= 1
            return self._uses[signature] < 0


def _third_host() -> tuple[str, str]:
    """Host name and address of the third origin; 127.0.0.2 where the machine has it."""
    with contextlib.suppress(OSError), socket.create_server(("127.0.0.2", 0)):
        return "127.0.0.2", "127.0.0.2"
    return "localhost", "127.0.0.1"


def _is_user(request: Request) -> bool:
    wanted = base64.b64encode(b"user:pw").decode()
    return request.headers.get("authorization") == f"Basic {wanted}"


def _denied(status: int, code: str, message: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Reply(status, {"Content-Type": "application/xml"}, body.encode())


def _failed(switch: Switch, origin: str) -> Reply:
    status, headers = switch.value if isinstance(switch.value, tuple) else (switch.value, {})
    if origin == "hub":
        reply = error(status, f"status {status} by request")
    else:
        reply = _denied(status, "Fault", f"status {status} by request")
    reply.headers |= headers
    return reply
