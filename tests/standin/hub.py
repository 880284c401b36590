"""The hub origin: the API, and the way from a name and a revision to a file's bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import parse_qs, quote

from tests.standin.content import Blob, Repository
from tests.standin.faults import Faults, Switch
from tests.standin.listing import (
    Shape,
    entry_of,
    info_of,
    paths_of,
    refs_of,
    spoiled,
    tree_of,
)
from tests.standin.ranges import file_reply
from tests.standin.routes import Target, quoted, target_of
from tests.standin.wire import Reply, Request, json_reply

COMMON = {
    "RateLimit": '"resolvers";r=2999;t=172',
    "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
    "Vary": "Origin",
}
EXPANDED_PAGE = 50  # entries of a page of a tree with expand
OPEN = ("info", "tree", "paths-info", "refs")  # what is told of gated repositories
WRONG_COMMIT = "bad0" * 10


class Place(Protocol):
    """What the hub needs of the server it is in."""

    faults: Faults
    tokens: set[str]
    outsiders: set[str]
    endpoint: str

    def repository(self, repo_type: str, repo_id: str) -> Repository | None:
        """The repository of this name."""

    def signed(self, path: str, blob: Blob, to_evil: bool) -> str:
        """A signed address of a file on the CDN or on the third origin."""

    def xet_token(self, repository: Repository, commit: str) -> bytes:
        """The body of an answer that gives a token for content stored by Xet."""


def error(status: int, message: str, code: str | None = None, **headers: str) -> Reply:
    """An error as the Hub words it."""
    kept = COMMON | {"X-Error-Message": message}
    if code:
        kept["X-Error-Code"] = code
    kept |= {name.replace("_", "-"): text for name, text in headers.items()}
    return json_reply(status, json.dumps({"error": message}).encode(), kept)


class Hub:
    """Answers for the hub origin."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._faults = place.faults

    def __call__(self, request: Request, target: Target) -> Reply:
        """The answer to a request that no fault of the connection has taken."""
        repository = self._place.repository(target.repo_type, target.repo_id)
        refused = self._refused(request, target, repository)
        if refused or not repository:
            return refused or error(404, "Sorry, we can't find the page you are looking for.")
        if repository.renamed_to:
            old, new = f"/{repository.repo_id}", f"/{repository.renamed_to}"
            return Reply(307, {**COMMON, "Location": request.target.replace(old, new, 1)})
        if target.action == "refs":
            has_pulls = "include_prs" in request.query
            return json_reply(200, refs_of(repository, has_pulls), COMMON)
        sha = repository.resolve(target.revision)
        if sha is None:
            return error(404, f"Invalid rev id: {target.revision}", "RevisionNotFound")
        if target.stage == "api":
            answers = {
                "info": self._info,
                "tree": self._tree,
                "paths-info": self._paths_info,
                "xet-read-token": self._xet_token,
            }
            reply = answers[target.action](request, target, repository, sha)
            self._moved(repository)
            return reply
        return self._file(request, target, repository, sha)

    def _refused(
        self, request: Request, target: Target, repository: Repository | None
    ) -> Reply | None:
        """The error for who may not see the repository or its files."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self._place.tokens | self._place.outsiders:
            return error(401, "Invalid credentials in Authorization header")
        if not target.action:
            return error(404, "Sorry, we can't find the page you are looking for.")
        has_access = token in self._place.tokens
        if repository is None or (repository.private and not has_access):
            if token:
                return error(404, "Repository not found", "RepoNotFound")
            challenge = 'Bearer realm="Authentication required", charset="UTF-8"'
            return error(401, "Invalid username or password.", WWW_Authenticate=challenge)
        if not repository.gated or has_access or target.action in OPEN:
            return None  # lists of gated repositories are open to all
        message = f"Access to {repository.repo_type} {repository.repo_id} is restricted"
        if token:
            message += " and you are not in the authorized list."
            return error(403, message, "GatedRepo")
        message += ". You must have access to it and be authenticated to access it."
        return error(401, message, "GatedRepo")

    def _moved(self, repository: Repository) -> None:
        if switch := self._faults.hit("move_branch", repository.repo_id, "api"):
            repository.branches["main"] = switch.value or list(repository.commits)[-1]

    # the API -----------------------------------------------------------------------------------

    def _listed(self, body: bytes, repository: Repository, **headers: str) -> Reply:
        if switch := self._faults.hit("bad_json", repository.repo_id, "api"):
            body = spoiled(body, str(switch.value))
        return json_reply(200, body, COMMON | headers)

    def _info(self, request: Request, target: Target, repository: Repository, sha: str) -> Reply:
        asked = parse_qs(request.query) if request.query else {}
        extra = self._faults.hit("siblings", repository.repo_id, "api")
        has_blobs = asked.get("blobs", ["false"])[0].lower() in ("true", "1")
        shape = Shape(
            has_blobs and not self._faults.hit("no_blobs", repository.repo_id, "api"),
            not self._faults.hit("no_sizes", repository.repo_id, "api"),
            tuple(extra.value) if extra else (),
            tuple(asked.get("expand", asked.get("expand[]", ()))),
        )
        return self._listed(info_of(repository, sha, shape), repository)

    def _tree(self, request: Request, target: Target, repository: Repository, sha: str) -> Reply:
        if switch := self._faults.hit("tree_error", repository.repo_id, "api"):
            return error(switch.value or 500, "Internal Error - We're working hard to fix this")
        asked = {name: texts[0] for name, texts in parse_qs(request.query).items()}
        files = _with_extra(repository.commits[sha], self._faults, repository)
        is_recursive = asked.get("recursive", "").lower() in ("true", "1")
        is_expanded = asked.get("expand", "").lower() in ("true", "1")
        paths = tree_of(files, target.file.strip("/"), is_recursive)
        if paths is None:
            missing = f"{target.file} does not exist on {target.revision!r}"
            return error(404, missing, "EntryNotFound", X_Repo_Commit=sha)
        most = min(self._faults.page_size, EXPANDED_PAGE if is_expanded else 10**9)
        most = min(most, int(asked.get("limit", most)))
        start = int(base64.b64decode(asked["cursor"])) if "cursor" in asked else 0
        has_sizes = not self._faults.hit("no_sizes", repository.repo_id, "api")
        has_xet = not self._faults.hit("no_xet", repository.repo_id, "api")
        page = [
            entry_of(files, path, sha, is_expanded, has_sizes, has_xet)
            for path in paths[start : start + most]
        ]
        headers = {}
        if start + most < len(paths):
            cursor = base64.b64encode(str(start + most).encode()).decode()
            query = "&".join(
                f"{name}={quote(text)}" for name, text in (asked | {"cursor": cursor}).items()
            )
            headers["Link"] = f'<{self._place.endpoint}{request.path}?{query}>; rel="next"'
        return self._listed(json.dumps(page, ensure_ascii=False).encode(), repository, **headers)

    def _paths_info(
        self, request: Request, target: Target, repository: Repository, sha: str
    ) -> Reply:
        files = repository.commits[sha]
        if "json" in request.headers.get("content-type", ""):
            asked = json.loads(request.content)
        else:
            asked = parse_qs(request.content.decode())
        is_expanded = str(asked.get("expand", "")).lower() in ("true", "['true']", "['1']")
        wanted = paths_of(files, asked.get("paths", []))
        page = [entry_of(files, path, sha, is_expanded, has_sizes=True) for path in wanted]
        return self._listed(json.dumps(page).encode(), repository)

    def _xet_token(
        self, request: Request, target: Target, repository: Repository, sha: str
    ) -> Reply:
        return json_reply(200, self._place.xet_token(repository, sha), COMMON)

    # files -------------------------------------------------------------------------------------

    def _file(self, request: Request, target: Target, repository: Repository, sha: str) -> Reply:
        where = target.file, target.stage
        blob = repository.commits[sha].get(target.file)
        commit = sha
        if switch := self._faults.hit("wrong_commit", *where):
            commit = switch.value or WRONG_COMMIT
        headers = COMMON | {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if blob is None:
            return error(404, "Entry not found", "EntryNotFound", X_Repo_Commit=commit)
        etag = {"ETag": f'"{blob.etag}"'}
        if target.stage == "cache" or self._faults.hit("direct", *where):
            name = quoted(target.file.rpartition("/")[2])
            kind = f"inline; filename*=UTF-8''{name}; filename=\"{name}\";"
            extra = headers | etag | {"Content-Disposition": kind}
            return file_reply(request, blob, extra, self._faults)
        if blob.is_lfs:
            headers["X-Linked-Size"] = str(blob.size)
            if not self._faults.hit("no_etag", *where):
                headers |= etag | {"X-Linked-ETag": f'"{blob.etag}"'}
            if self._faults.hit("xet", *where):
                headers |= self._xet(repository, sha, blob)
        return self._redirect(request, target, repository, sha, headers)

    def _xet(self, repository: Repository, sha: str, blob: Blob) -> Mapping[str, str]:
        api = f"{self._place.endpoint}/api/{repository.types}/{repository.repo_id}"
        return {
            "X-Xet-Hash": blob.file_id,
            "Link": f'<{api}/xet-read-token/{sha}>; rel="xet-auth"',
        }

    def _redirect(
        self,
        request: Request,
        target: Target,
        repository: Repository,
        sha: str,
        headers: dict[str, str],
    ) -> Reply:
        """The redirect to a file: absolute and signed for LFS, relative for small files."""
        blob = repository.commits[sha][target.file]
        where = target.file, target.stage
        status, location = 302, None
        if self._faults.hit("redirect_loop", *where):
            location = request.target
        elif switch := self._faults.hit("redirect_to", *where):
            return _redirected(302, switch.value, headers)
        elif self._faults.hit("redirect_evil", *where):
            location = self._place.signed(target.file, blob, to_evil=True)
        elif blob.is_lfs and not self._faults.hit("redirect_relative", *where):
            location = self._place.signed(target.file, blob, to_evil=False)
        if location is None:
            status = 307
            cache = f"/api/resolve-cache/{repository.types}/{repository.repo_id}/{sha}"
            asked = quote(request.path, safe="")
            location = f"{cache}/{quoted(target.file)}?{asked}=&etag=%22{blob.etag}%22"
        return _redirected(status, location, headers)


def _redirected(status: int, location: str | None, headers: dict[str, str]) -> Reply:
    word = "Found" if status == 302 else "Temporary Redirect"
    kept = headers | {"Content-Type": "text/plain; charset=utf-8"}
    if location is not None:
        kept["Location"] = location
    return Reply(status, kept, f"{word}. Redirecting to {location}".encode())


def _with_extra(
    files: Mapping[str, Blob], faults: Faults, repository: Repository
) -> Mapping[str, Blob]:
    """The files and those names that no file has."""
    extra: Switch | None = faults.hit("siblings", repository.repo_id, "api")
    return files if extra is None else {**files, **{name: Blob(b"", 10) for name in extra.value}}


def routed(request: Request) -> Target:
    """What a request asks of the hub origin, noted in it."""
    target = target_of(request.path)
    request.stage = target.stage
    request.file = target.repo_id if target.stage == "api" else target.file
    return target
