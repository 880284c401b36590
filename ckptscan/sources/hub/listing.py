"""What the Hub says of a repository -> commit, files, sizes, digests; believes nothing unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin

from ckptscan.errors import SourceUnreachable
from ckptscan.paths import is_inside
from ckptscan.sources.answers import Refused, Wanted
from ckptscan.sources.base import MAX_FILES, UNSAFE, FileEntry, is_told
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.ranged import UNKNOWN
from ckptscan.sources.web import Web, origin_of

COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")  # sha1, and the sha256 that git knows too
MAX_LIST = 64 << 20  # bytes; a file takes about 250
MAX_PAGES = 1000
_BLOB = re.compile(r"git:[0-9a-f]{40}(?:[0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)?", re.ASCII)
_NEXT = re.compile(r"<([^<>]*)>\s*;\s*rel=\"?next\"?")
_LARGEST = 1 << 62  # bytes of a file that we believe


class Listing(NamedTuple):
    """A repository at one commit: its present name, files, and what the Hub says of its size."""

    name: str
    commit: str
    entries: tuple[FileEntry, ...]
    claims: tuple[tuple[str, int], ...] = ()


def api_of(endpoint: str, repository: Repository) -> str:
    """The address of what is told about a repository."""
    return f"{endpoint}/api/{repository.kind}s/{repository.name}"


def fetch_listing(web: Web, endpoint: str, repository: Repository) -> Listing:
    """The files of a repository at its revision: one request, and the tree where sizes are missing.

    Raises Refused, SourceError.
    """
    revision = repository.revision or "main"
    url = f"{api_of(endpoint, repository)}/revision/{quote(revision, safe='')}?blobs=true"
    page = web.get(url, Wanted(most=MAX_LIST))
    document = _parsed(page.data)
    commit = document.get("sha") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(commit, str):
        raise _nonsense("it does not tell the commit")
    commit = commit.lower()
    if not COMMIT.fullmatch(commit):
        raise _nonsense("what it tells as the commit is none")
    if COMMIT.fullmatch(revision.lower()) and commit != revision.lower():
        raise _nonsense(f"asked for commit {revision}, it tells of {commit}")
    name = document.get("id")
    is_moved = page.url.partition("?")[0] != url.partition("?")[0]
    if not is_moved or not isinstance(name, str) or not _NAME.fullmatch(name):
        name = repository.name  # what a mirror calls it is of no use to ask for files
    repository = repository._replace(name=name, revision=commit)
    entries = list(_siblings(document.get("siblings")))
    if any(entry.size == UNKNOWN for entry in entries):
        entries = _with_sizes(entries, _tree(web, endpoint, repository))
    return Listing(repository.name, commit, tuple(entries), tuple(_claims(document)))


def below(listing: Listing, repository: Repository) -> Iterator[FileEntry]:
    """The entries in the folder that is meant, with paths from there; one where a file is named.

    Files that lie deeper than a local reading goes are left out, and hidden folders.
    """
    prefix = f"{repository.folder}/" if repository.folder else ""
    for entry in listing.entries:
        is_meant = entry.path == repository.path or repository.named != "file"
        path = entry.path.removeprefix(prefix)
        if entry.path.startswith(prefix) and is_meant and is_told(path):
            yield entry._replace(path=path)


def to_document(listing: Listing) -> dict[str, object]:
    """A listing as it is kept in the cache."""
    return {
        "name": listing.name,
        "commit": listing.commit,
        "files": [
            [one.path, one.size, one.digest, one.is_size_told, one.identity]
            for one in listing.entries
        ],
        "claims": [list(claim) for claim in listing.claims],
    }


def from_document(document: Mapping[str, Any], commit: str) -> Listing | None:
    """What `to_document` made; None where it is anything else."""
    try:
        entries = tuple(
            _entry(
                str(path),
                _sound(int(size)),
                _matching(_SHA256, digest),
                _matching(_BLOB, identity),
                bool(is_told),
            )
            for path, size, digest, is_told, identity in document["files"]
        )
        claims = tuple((str(where), int(value)) for where, value in document["claims"])
        found = Listing(str(document["name"]), str(document["commit"]), entries, claims)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return found if found.commit == commit else None


def _sound(size: int) -> int:
    """A size that a file may have, or UNKNOWN; raises ValueError."""
    if not UNKNOWN <= size < _LARGEST:
        raise ValueError(size)
    return size


def _matching(pattern: re.Pattern[str], told: object) -> str | None:
    """A text of this form or None; raises ValueError."""
    if told is not None and not (isinstance(told, str) and pattern.fullmatch(told)):
        raise ValueError(told)
    return told


def _siblings(siblings: object) -> Iterator[FileEntry]:
    if not isinstance(siblings, list):
        raise _nonsense("it tells no list of files")
    seen = set()
    for one in siblings:
        path = one.get("rfilename") if isinstance(one, dict) else None
        if isinstance(path, str) and path not in seen:
            seen.add(path)
            yield _entry(path, *_size_and_digest(one, "sha256"), _identity(one.get("blobId")))


def _entry(
    path: str, size: int, digest: str | None, identity: str | None, is_size_told: bool = True
) -> FileEntry:
    problem = None if is_inside(path) else UNSAFE
    return FileEntry(path, size, digest, problem, is_size_told, identity=identity)


def _identity(blob: object) -> str | None:
    """What git calls the content of a file, of whichever commit; None where it is not told."""
    named = f"git:{blob}"
    return named if _BLOB.fullmatch(named) else None


def _size_and_digest(facts: Mapping[str, Any], key: str) -> tuple[int, str | None]:
    """Size and sha256 of a file, UNKNOWN and None where they are not told or are none."""
    lfs = facts.get("lfs")
    lfs = lfs if isinstance(lfs, dict) else {}
    sizes = [
        value
        for value in (lfs.get("size"), facts.get("size"))
        if type(value) is int and 0 <= value < _LARGEST
    ]
    digest = lfs.get(key)
    digest = digest.lower() if isinstance(digest, str) else ""
    return sizes[0] if sizes else UNKNOWN, digest if _SHA256.fullmatch(digest) else None


def _tree(web: Web, endpoint: str, repository: Repository) -> dict[str, tuple[int, str | None]]:
    """Sizes and digests by path, as the tree tells them; page after page.

    A server that has no tree tells none: then the files themselves are asked.
    """
    found: dict[str, tuple[int, str | None]] = {}
    with suppress(Refused):
        for one in tree_of(web, endpoint, repository):
            found[one["path"]] = _size_and_digest(one, "oid")
    return found


def tree_of(
    web: Web, endpoint: str, repository: Repository, folder: str | None = None
) -> Iterator[dict[str, Any]]:
    """What the tree tells of each file of a repository, or of those right in a folder of it.

    Each has a `path`. Raises Refused, SourceError.
    """
    commit = quote(repository.revision or "main", safe="")
    below = f"/{quote(folder)}" if folder else ""
    is_all = str(folder is None).lower()
    url: str | None = f"{api_of(endpoint, repository)}/tree/{commit}{below}?recursive={is_all}"
    seen: set[str] = set()
    told = 0
    while url and url not in seen and len(seen) < MAX_PAGES and told <= MAX_FILES:
        seen.add(url)
        page = web.get(url, Wanted(most=MAX_LIST))
        items = _parsed(page.data)
        for one in items if isinstance(items, list) else []:
            if isinstance(one, dict) and isinstance(one.get("path"), str):
                told += 1
                yield one
        url = _following(url, page.headers.get("link", ""), origin_of(endpoint))


def _following(url: str, link: str, home: str) -> str | None:
    """The page after this one; never one of another origin."""
    said = _NEXT.search(link)
    try:
        following = urljoin(url, said[1]) if said else ""
        return following if following and origin_of(following) == home else None
    except ValueError:
        return None


def _with_sizes(
    entries: Iterable[FileEntry], tree: Mapping[str, tuple[int, str | None]]
) -> list[FileEntry]:
    completed = []
    for entry in entries:
        size, digest = tree.get(entry.path, (UNKNOWN, None))
        if entry.size == UNKNOWN:
            entry = entry._replace(size=size)
        completed.append(entry._replace(digest=entry.digest or digest))
    return completed


def _claims(document: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The count of parameters that the Hub's pages show."""
    declared = document.get("safetensors")
    total = declared.get("total") if isinstance(declared, dict) else None
    if type(total) is int and 0 < total < _LARGEST:
        yield "Hub safetensors.total", total


def _parsed(raw: bytes) -> object:
    try:
        return json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise _nonsense("its answer is no JSON") from None


def _nonsense(reason: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"the Hub's answer can't be used: {reason}", "is HF_ENDPOINT a Hub, or is a proxy between?"
    )
