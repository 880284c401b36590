"""What ModelScope says of a model -> commit, files, sizes, digests; nothing is believed unseen.

Learnt from its public client, modelscope_hub 0.5.1 (_legacy_api.py, constants.py), and from public
programs that tell of the live service, which was not tried here:

- `Recursive` must be written `True`; in lower case it may be passed over.
- One answer holds 3,000 entries and tells of no more; then folders are asked for one by one.
- `LatestCommitter.Id` is often empty beside a `ShortId`; each file has the commit that wrote it.
- Every file has its sha256, also those outside LFS. A size of 0 may mean that it is not known.
- A refusal is JSON with a `Code`, most often with status 404, and perhaps with 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import urlencode

from ckptscan.errors import SourceUnreachable, SourceUnreadable
from ckptscan.paths import is_inside
from ckptscan.sources.answers import Refused, Wanted
from ckptscan.sources.base import MAX_FILES, UNSAFE, FileEntry, is_listed
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.hub.listing import Listing
from ckptscan.sources.ranged import UNKNOWN
from ckptscan.sources.web import Web

MASTER = "master"
COMMIT = re.compile(r"[0-9a-f]{40}")
CUT = 3000  # entries of one answer: modelscope_hub constants.py, REPO_FILES_TRUNCATION_LIMIT
MAX_LIST = 64 << 20  # bytes; a file takes about 500
MAX_FOLDERS = 500  # asked for one by one
_SHORT = re.compile(r"[0-9a-f]{7,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 1 << 62  # bytes of a file that we believe


class Page(NamedTuple):
    """One answer: its entries, files and folders, and the commit that it is said to show."""

    entries: tuple[Mapping[str, Any], ...]
    tip: str

    @property
    def is_cut(self) -> bool:
        """Whether there may be more."""
        return len(self.entries) >= CUT


def models(endpoint: str, name: str) -> str:
    """The address of what is told about a model."""
    return f"{endpoint}/api/v1/models/{name}"


def fetch_listing(web: Web, endpoint: str, repository: Repository) -> Listing:
    """The files of a repository at its revision: one request, or one a folder where it is large.

    `commit` is a hash of the list where the service tells no commit. Raises Refused, SourceError.
    """
    revision = repository.revision or MASTER
    told = [*_pages(web, models(endpoint, repository.name), repository)]
    facts = [one for page in told for one in page.entries]
    entries: dict[str, FileEntry] = {}
    for one in facts:
        path = one.get("Path")
        if isinstance(path, str) and one.get("Type", "blob") == "blob":
            entries.setdefault(path, _entry(path, one))
    if len(entries) > MAX_FILES:
        raise SourceUnreadable(f"more than {MAX_FILES:,} files", "name a folder of it")
    commit = _commit(revision.lower(), told[0].tip, facts)
    files = tuple(entries.values())
    return Listing(repository.name, commit or _state(revision, files), files)


def commit_of(listing: Listing) -> str | None:
    """The commit that a listing shows, None where the service tells none."""
    return listing.commit if COMMIT.fullmatch(listing.commit) else None


def _pages(web: Web, url: str, repository: Repository) -> Iterator[Page]:
    """The answers that hold all files down to where we look for them."""
    revision, top = repository.revision or MASTER, repository.folder
    first = _page(web, url, revision, "", "True")
    yield first
    waiting = [top] if first.is_cut else []
    for turn, folder in enumerate(waiting):
        if turn >= MAX_FOLDERS:
            raise SourceUnreadable(f"more than {MAX_FOLDERS} folders", "name one of them")
        page = _page(web, url, revision, folder, "True") if folder else first
        if not page.is_cut:
            yield page
            continue
        page = _page(web, url, revision, folder, "False")
        if page.is_cut:
            raise SourceUnreadable(
                f"{CUT:,} files and more lie in one folder, and the service lists no more",
                "name a file, or another folder",
            )
        yield page
        waiting += _folders(page, top)


def _folders(page: Page, top: str) -> Iterator[str]:
    for one in page.entries:
        path = one.get("Path")
        if one.get("Type") == "tree" and isinstance(path, str) and is_inside(path):
            below = path.removeprefix(f"{top}/" if top else "")
            if is_listed(f"{below}/file"):
                yield path


def _page(web: Web, url: str, revision: str, root: str, recursive: str) -> Page:
    query = {"Revision": revision, "Recursive": recursive} | ({"Root": root} if root else {})
    address = f"{url}/repo/files?{urlencode(query)}"
    raw = web.get(address, Wanted(most=MAX_LIST)).data
    try:
        document = json.loads(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _nonsense("is no JSON") from None
    if not isinstance(document, dict):
        raise _nonsense("is no JSON object")
    if document.get("Success") is False or document.get("Code", 200) != 200:
        raise Refused(200, "", url=address, body=raw[: 1 << 16])
    found = document.get("Data")
    files = found.get("Files") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(files, list):
        raise _nonsense("tells no list of files")
    latest = found.get("LatestCommitter")
    latest = latest if isinstance(latest, dict) else {}
    tip = latest.get("Id") or latest.get("ShortId")
    entries = tuple(one for one in files if isinstance(one, dict))
    return Page(entries, tip.lower() if isinstance(tip, str) else "")


def _commit(revision: str, tip: str, facts: list[Mapping[str, Any]]) -> str | None:
    """The full commit: as asked for, as told, or the one of a file that the short one begins."""
    if COMMIT.fullmatch(revision):
        return revision
    if COMMIT.fullmatch(tip):
        return tip
    told = {str(one.get("Revision")).lower() for one in facts}
    found = [one for one in told if COMMIT.fullmatch(one) and one.startswith(tip)]
    return found[0] if _SHORT.fullmatch(tip) and len(found) == 1 else None


def _state(revision: str, entries: tuple[FileEntry, ...]) -> str:
    """What stands for the commit where none is told: any change of a file changes it."""
    told = repr([revision, *sorted((one.path, one.size, one.digest or "") for one in entries)])
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _entry(path: str, facts: Mapping[str, Any]) -> FileEntry:
    told, digest = facts.get("Size"), facts.get("Sha256")
    digest = digest.lower() if isinstance(digest, str) else ""
    size = told if type(told) is int and 0 <= told < _LARGEST else UNKNOWN
    if size == 0 and path.endswith(".safetensors") and is_inside(path):
        size = UNKNOWN
    problem = None if is_inside(path) else UNSAFE
    return FileEntry(path, size, digest if _SHA256.fullmatch(digest) else None, problem)


def _nonsense(reason: str) -> SourceUnreachable:
    return SourceUnreachable(
        f"ModelScope's answer {reason}", "is MODELSCOPE_ENDPOINT right, or is a proxy between?"
    )
