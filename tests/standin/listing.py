"""The JSON that the API gives of a repository: its info, tree, paths and refs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tests.standin.content import Blob, Repository

DATE = "2026-01-02T03:04:05.000Z"
COMMIT_DATE = "2026-01-02T03:04:05.000Z"
# fields that `expand` may ask for and that are always there
EXPANDED = {"sha", "private", "gated", "disabled", "lastModified", "tags", "downloads", "likes"}


class Shape(NamedTuple):
    """What an info holds: sizes of siblings, names that no file has, no more than these fields."""

    has_blobs: bool = False
    has_sizes: bool = True
    extra: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()


def info_of(repository: Repository, sha: str, shape: Shape) -> bytes:
    """The body of an info, made once for each commit and shape."""
    key = (sha, shape, repository.gated, repository.private)
    if (body := repository.bodies.get(key)) is None:
        document = _info(repository, sha, shape)
        if shape.expand:
            wanted = {"_id", "id", *shape.expand}
            document = {name: value for name, value in document.items() if name in wanted}
        body = repository.bodies[key] = json.dumps(document, ensure_ascii=False).encode()
    return body


def _info(repository: Repository, sha: str, shape: Shape) -> dict[str, Any]:
    names = sorted(repository.commits[sha])
    files = repository.commits[sha]
    has_sizes = shape.has_blobs and shape.has_sizes
    siblings = [_sibling(name, files[name] if has_sizes else None) for name in names]
    siblings += [_sibling(name, Blob(b"", 10) if has_sizes else None) for name in shape.extra]
    document: dict[str, Any] = {
        "_id": hashlib.sha1(repository.repo_id.encode()).hexdigest()[:24],
        "id": repository.repo_id,
        "private": repository.private,
        "tags": ["safetensors"],
        "downloads": 0,
        "likes": 0,
        "author": repository.repo_id.rpartition("/")[0],
        "sha": sha,
        "lastModified": DATE,
        "createdAt": DATE,
        "gated": repository.gated,
        "disabled": False,
        "siblings": siblings,
    }
    if repository.repo_type == "model":
        document |= {"modelId": repository.repo_id, "config": {}, "spaces": []}
        if counts := repository.safetensors:
            document["safetensors"] = {"parameters": counts, "total": sum(counts.values())}
    return document


def _sibling(name: str, blob: Blob | None) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": name}
    if blob is None:
        return sibling
    sibling |= {"size": blob.size, "blobId": blob.oid}
    if blob.is_lfs:
        sibling["lfs"] = {
            "sha256": blob.sha256,
            "size": blob.size,
            "pointerSize": len(blob.pointer),
        }
    return sibling


def folders_of(paths: Iterable[str]) -> list[str]:
    """All folders that these paths lie in."""
    folders = {
        path[:at] for path in paths for at, letter in enumerate(path) if letter == "/" and at
    }
    return sorted(folders)


def tree_of(files: Mapping[str, Blob], folder: str, is_recursive: bool) -> list[str] | None:
    """The paths that a tree lists, folders with a slash at the end; None for no folder."""
    start = f"{folder}/" if folder else ""
    paths = [f"{path}/" for path in folders_of(files)] + list(files)
    below = sorted(path for path in paths if path.startswith(start) and path != start)
    if not below:
        return [] if not folder else None
    if is_recursive:
        return below
    return [path for path in below if "/" not in path[len(start) :].rstrip("/")]


def entry_of(
    files: Mapping[str, Blob],
    path: str,
    sha: str,
    is_expanded: bool,
    has_sizes: bool,
    has_xet: bool = True,
) -> dict[str, Any]:
    """An entry of a tree, or of the paths that were asked for."""
    if path.endswith("/"):
        oid = hashlib.sha1(f"tree {sha} {path}".encode()).hexdigest()
        entry: dict[str, Any] = {"type": "directory", "oid": oid, "size": 0, "path": path[:-1]}
    else:
        blob = files[path]
        entry = {"type": "file", "oid": blob.oid, "size": blob.size, "path": path}
        if blob.is_lfs:
            lfs = {"oid": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
            entry["lfs"] = lfs
            if has_xet:
                entry["xetHash"] = blob.file_id
    if not has_sizes:
        entry.pop("size")
        entry.pop("lfs", None)
    if is_expanded:
        entry["lastCommit"] = {"id": sha, "title": "Add files", "date": COMMIT_DATE}
        if entry["type"] == "file":
            entry["securityFileStatus"] = {
                "status": "safe",
                "avScan": {"status": "safe"},
                "pickleImportScan": None,
            }
    return entry


def paths_of(files: Mapping[str, Blob], paths: Sequence[str]) -> list[str]:
    """Those of the paths that exist, folders with a slash at the end."""
    folders = set(folders_of(files))
    wanted = [path.strip("/") for path in paths]
    return [
        f"{path}/" if path in folders else path for path in wanted if path in {*files, *folders}
    ]


def refs_of(repository: Repository, has_pulls: bool) -> bytes:
    """The branches, tags and pull requests."""

    def listed(refs: Mapping[str, str], folder: str) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"refs/{folder}/{name}", "targetCommit": sha}
            for name, sha in refs.items()
        ]

    document: dict[str, Any] = {
        "tags": listed(repository.tags, "tags"),
        "branches": listed(repository.branches, "heads"),
        "converts": [],
    }
    if has_pulls:
        document["pullRequests"] = listed(repository.pulls, "pr")
    return json.dumps(document).encode()


def spoiled(body: bytes, way: str) -> bytes:
    """The body of an API answer with one thing wrong with it."""
    document = json.loads(body)
    whole = {
        "truncated": body[: len(body) // 2],
        "list": b"[" + body + b"]",
        "deep": b"[" * 100_000 + b"]" * 100_000,
        "text": b"internal error",
        "empty": b"",
    }
    if way in whole:
        return whole[way]
    wrong = {"nulls": None, "huge": 10**30, "digits": 0, "types": "12"}[way]
    rows = document["siblings"] if isinstance(document, dict) else document
    for row in rows:
        row.update(dict.fromkeys(row.keys() & {"size", "blobId", "oid", "lfs"}, wrong))
    if way == "nulls" and isinstance(document, dict):
        document |= {"sha": None, "siblings": [None, *rows]}
    if way == "types" and isinstance(document, dict):
        document |= {"sha": 12, "siblings": {"0": rows}}
    text = json.dumps(document)
    return (text.replace(": 0", ": 1" + "0" * 5000) if way == "digits" else text).encode()
