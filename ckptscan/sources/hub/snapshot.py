"""Snapshots that huggingface_hub has on disk already: found without importing it."""

from __future__ import annotations

import json
import os
import re
from functools import cached_property

from ckptscan.errors import SourceError
from ckptscan.sources.base import FileEntry, Origin, read_head
from ckptscan.sources.hub import settings
from ckptscan.sources.hub.address import Repository
from ckptscan.sources.local import LocalSource, open_regular

_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST = 64 << 20  # bytes of a list of files or an index
_SINGLE = ("model.safetensors", "adapter_model.safetensors")


class Snapshot:
    """The files of one commit in huggingface_hub's cache, all of them or some.

    `find` takes paths from `folder`.
    """

    def __init__(self, repository: Repository, commit: str, folder: str = "") -> None:
        self.commit = commit
        self._above = _folder(repository)
        self.root = os.path.join(self._above, "snapshots", commit)
        self._folder = os.path.join(self.root, *folder.split("/")) if folder else self.root
        self._files = LocalSource(self._folder, Origin("", "hf-cache", repository.name))

    @property
    def is_there(self) -> bool:
        """Whether there is such a snapshot."""
        return os.path.isdir(self.root)

    @property
    def is_whole(self) -> bool:
        """Whether the weights and json files of the commit are all in it.

        huggingface_hub 2 keeps the list of files; without it an index tells, or the usual name.
        """
        there = {entry.path for entry in self._files.files() if not entry.problem}
        tree = self._tree
        if tree is not None:
            needed = {path for path in tree if str(path).endswith((".safetensors", ".json"))}
            return bool(needed) and there.issuperset(needed)
        index = _document(os.path.join(self.root, "model.safetensors.index.json"))
        shards = index.get("weight_map")
        if isinstance(shards, dict) and shards:
            return there.issuperset(map(str, shards.values()))
        return not there.isdisjoint(_SINGLE)

    def listed(self, path: str) -> dict[str, object]:
        """What the list of the commit's files tells of one: size, xet_hash; {} where nothing."""
        told = (self._tree or {}).get(path)
        return told if isinstance(told, dict) else {}

    @cached_property
    def _tree(self) -> dict[str, object] | None:
        """The list of files that huggingface_hub 2 keeps."""
        tree = _document(os.path.join(self._above, "trees", f"{self.commit}.json")).get("files")
        return tree if isinstance(tree, dict) else None

    def find(self, entry: FileEntry, part: str) -> bytes | None:
        """The head of a weight file or a whole small one, where a file of its size is there."""
        path = os.path.join(self._folder, *entry.path.split("/"))
        try:
            if entry.problem or os.stat(path).st_size != entry.size:
                return None
            if part == "head":
                return read_head(self._files, entry)
            return self._files.read(entry.path, 0, entry.size)
        except (OSError, SourceError):
            return None

    def keep(self, entry: FileEntry, part: str, data: bytes) -> None:
        """Nothing: the folder is huggingface_hub's."""

    def settle(self) -> None:
        """Nothing was kept."""


def cached_commit(repository: Repository) -> str | None:
    """The commit that a revision had when huggingface_hub last saw it, None where it did not."""
    revision = repository.revision or "main"
    above = _folder(repository)
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        handle = open_regular(os.path.join(above, "refs", *revision.split("/")))
        with os.fdopen(handle, "rb") as opened:
            commit = opened.read(64).decode("ascii", "replace").strip()
    except (OSError, ValueError, SourceError):
        commit = _only(above, revision)
    return commit if _COMMIT.fullmatch(commit) else None


def _only(above: str, short: str) -> str:
    """The only commit that a short sha may mean, or ""."""
    try:
        commits = os.listdir(os.path.join(above, "snapshots"))
    except OSError:
        return ""
    found = [commit for commit in commits if len(short) >= 7 and commit.startswith(short)]
    return found[0] if len(found) == 1 else ""


def _folder(repository: Repository) -> str:
    name = "--".join((f"{repository.kind}s", *repository.name.split("/")))
    return os.path.join(settings.cache_folder(), name)


def _document(path: str) -> dict[str, object]:
    """The JSON object in a file, {} where there is none."""
    try:
        with os.fdopen(open_regular(path), "rb") as opened:
            document = json.loads(opened.read(_MOST))
    except (OSError, ValueError, RecursionError, SourceError):
        return {}
    return document if isinstance(document, dict) else {}
