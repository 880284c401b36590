"""The origin that content stored by Xet lies on: tokens for it, and where files are stored there.

Requests and answers follow https://huggingface.co/docs/xet/api; the content is cut and named as
`chunks` says, so that what is true here of a client need not be true of the live service.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.standin.chunks import Store, reconstruction
from tests.standin.content import Blob, Repository
from tests.standin.faults import Faults
from tests.standin.ranges import span_of
from tests.standin.wire import Reply, Request, json_reply

EXPIRES = 4_102_444_800  # 2100-01-01
VERSIONS = {"v1": "fetch_info", "v2": "xorbs"}
PADDING = 17 << 20  # bytes; more than a client should take


class Grant(NamedTuple):
    """What a token is good for: one commit of one repository, and so many uses."""

    repository: Repository
    commit: str


class Cas:
    """Gives tokens, and answers for the origin that they are for."""

    def __init__(self, faults: Faults, repositories: Callable[[], Sequence[Repository]]) -> None:
        self._faults = faults
        self._repositories = repositories
        self._store = Store()
        self._grants: dict[str, Grant] = {}
        self._uses: dict[str, int] = {}
        self._lock = threading.Lock()

    def grant(self, url: str, repository: Repository, commit: str) -> bytes:
        """The body of an answer that gives a token for the origin at an address."""
        where = repository.repo_id, "api"
        with self._lock:
            token = f"xet_standin_{len(self._grants)}"
            self._grants[token] = Grant(repository, commit)
            if switch := self._faults.hit("cas_expired", *where):
                self._uses[token] = switch.value or 0
        if switch := self._faults.hit("cas_url", *where):
            url = switch.value
        document: Any = {"accessToken": token, "exp": EXPIRES, "casUrl": url}
        if switch := self._faults.hit("cas_token", *where):
            document = switch.value
        return document if isinstance(document, bytes) else json.dumps(document).encode()

    def noted(self, request: Request) -> Blob | None:
        """The file that is asked about, noted in the request; None where the token shows none."""
        request.stage = "cas"
        file_id = request.path.rpartition("/")[2]
        request.file = file_id
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        grant = self._grants.get(token)
        for path, blob in grant.repository.commits[grant.commit].items() if grant else ():
            if blob.is_lfs and blob.file_id == file_id:
                request.file = path
                return blob
        return None

    def __call__(self, request: Request, blob: Blob | None) -> Reply:
        """The answer to a question about a file."""
        parts = request.path.strip("/").split("/")
        if len(parts) != 3 or parts[0] not in VERSIONS or parts[1] != "reconstructions":
            return _refused(404, "Not Found")
        if parts[0] == "v1" and self._faults.hit("cas_v2", request.file, "cas"):
            return _refused(404, "Not Found")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            self._uses[token] = self._uses.get(token, 10**9) - 1
            is_used_up = self._uses[token] < 0
        if token not in self._grants or is_used_up:
            return _refused(401, "Unauthorized")
        if blob is None:
            return _refused(404, "File not found")
        try:
            span = span_of(request.range, blob.size)
        except ValueError:
            return _refused(416, "Range not satisfiable")
        if self._faults.hit("cas_whole", request.file, "cas"):
            span = None
        return self._told(request, blob, span or (0, blob.size), VERSIONS[parts[0]])

    def _told(self, request: Request, blob: Blob, span: tuple[int, int], fetch: str) -> Reply:
        where = request.file, "cas"
        with self._lock:
            self._upload()
            is_trimmed = not self._faults.hit("cas_untrimmed", *where)
            document = reconstruction(self._store.runs(blob), *span, is_trimmed=is_trimmed)
        document[fetch] = {
            term["hash"]: [_fetch(fetch, term, request)] for term in document["terms"]
        }
        switch = self._faults.hit("cas_answer", *where)
        body = spoiled(document, switch.value) if switch else json.dumps(document).encode()
        return json_reply(200, body)

    def _upload(self) -> None:
        """Store what the repositories hold by now, in the order in which it was committed."""
        for repository in self._repositories():
            for files in list(repository.commits.values()):
                for _, blob in sorted(files.items()):
                    if blob.is_lfs:
                        self._store.add(blob)


def _fetch(kind: str, term: dict[str, Any], request: Request) -> dict[str, Any]:
    """Where chunks are to be had: an address that nobody should ask."""
    signature = hashlib.sha256(term["hash"].encode()).hexdigest()
    url = f"http://{request.headers.get('host')}/xorb/default/{term['hash']}?Signature={signature}"
    span = {"start": 0, "end": term["unpacked_length"]}
    if kind == "xorbs":
        return {"url": url, "ranges": [{"chunks": term["range"], "bytes": span}]}
    return {"url": url, "range": term["range"], "url_range": span}


def _refused(status: int, message: str) -> Reply:
    return json_reply(status, json.dumps({"error": message}).encode())


def spoiled(document: dict[str, Any], way: str) -> bytes:
    """The body of an answer with one thing wrong with it."""
    whole = {
        "truncated": json.dumps(document).encode()[:-20],
        "deep": b"[" * 100_000,
        "text": b"internal error",
        "list": json.dumps([document]).encode(),
        "long": json.dumps(document).encode() + b" " * PADDING,
    }
    if way in whole:
        return whole[way]
    terms = document["terms"]
    first, last = terms[0], terms[-1]
    changes: dict[str, Callable[[], Any]] = {
        "longer": lambda: last.update(unpacked_length=last["unpacked_length"] + 1),
        "missing": lambda: terms.pop(),
        "more": lambda: terms.append(last),
        "many": lambda: terms.extend(100_000 * [last]),
        "offset": lambda: document.update(offset_into_first_range=1 << 40),
        "none": lambda: document.update(terms=None),
        "names": lambda: first.update(hash="../" + first["hash"]),
        "texts": lambda: first.update(unpacked_length=str(first["unpacked_length"])),
        "negative": lambda: first.update(unpacked_length=-1),
        "huge": lambda: first.update(unpacked_length=10**30),
        "floats": lambda: first.update(unpacked_length=1e300),
        "backwards": lambda: first.update(range={"start": 9, "end": 3}),
        "ranges": lambda: first.update(range=[0, 1]),
        "terms": lambda: terms.insert(0, 7),
    }
    changes[way]()
    return json.dumps(document).encode()
