"""What the stand-in serves: blobs, of which only a head need be held, and repositories of them."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

LFS_SIZE = 10 * 2**20  # the Hub wants larger files in LFS whatever they are called
PIECE = 1 << 16
SHA = re.compile(r"[0-9a-f]{7,40}")
_ZEROS = bytes(PIECE)

RepoType = Literal["model", "dataset", "space"]
Gated = Literal[False, "auto", "manual"]


@dataclass(frozen=True)
class Blob:
    """The content of a file: real bytes, then zeros up to its size that are nowhere held."""

    head: bytes
    size: int
    is_lfs: bool = False

    def read(self, start: int, end: int) -> bytes:
        """The bytes of a range that lies within the file."""
        return self.head[start:end].ljust(end - start, b"\0")

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes of a range in small pieces."""
        while start < end:
            step = min(PIECE, end - start)
            yield _ZEROS[:step] if start >= len(self.head) else self.read(start, start + step)
            start += step

    @functools.cached_property
    def sha256(self) -> str:
        """The true sha256 of real bytes; for a sparse blob a stable hash of its head and size."""
        if self.size == len(self.head):
            return hashlib.sha256(self.head).hexdigest()
        return hashlib.sha256(b"sparse %d\0" % self.size + self.head).hexdigest()

    @functools.cached_property
    def pointer(self) -> bytes:
        """The text that git holds in place of an LFS file."""
        text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
        return f"{text}size {self.size}\n".encode()

    @functools.cached_property
    def oid(self) -> str:
        """The git blob sha1: of the content, or of the pointer of an LFS file."""
        data = self.pointer if self.is_lfs else self.read(0, self.size)
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    @property
    def file_id(self) -> str:
        """What Xet calls the content; the real one is another hash of it."""
        return self.sha256[::-1]

    @property
    def etag(self) -> str:
        """What the Hub gives as ETag, without quotes."""
        return self.sha256 if self.is_lfs else self.oid


def blob_of(path: str, head: bytes, size: int | None = None) -> Blob:
    """The blob of a file; weights and large files are in LFS."""
    size = len(head) if size is None else size
    return Blob(head, size, path.endswith(".safetensors") or size > LFS_SIZE)


def commit_of(repo_id: str, files: Mapping[str, Blob], salt: str = "") -> str:
    """The sha of a commit: 40 hex digits that depend on nothing but what it holds."""
    lines = [f"{blob.etag} {blob.size} {path}" for path, blob in sorted(files.items())]
    return hashlib.sha1("\n".join([repo_id, salt, *lines]).encode()).hexdigest()


@dataclass
class Repository:
    """A repository of the Hub: commits by sha, each a mapping of path to blob, and its refs.

    `branches`, `tags` and `pulls` map a name to a sha; pull requests are named by their number.
    `safetensors` maps dtypes to parameter counts. `renamed_to` makes it an address and no more.
    """

    repo_id: str
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    repo_type: RepoType = "model"
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[str, str] = field(default_factory=dict)
    gated: Gated = False
    private: bool = False
    renamed_to: str | None = None
    safetensors: dict[str, int] | None = None
    bodies: dict[tuple[object, ...], bytes] = field(default_factory=dict, repr=False)

    @property
    def types(self) -> str:
        """The plural that addresses of the API have: models, datasets or spaces."""
        return f"{self.repo_type}s"

    @property
    def prefix(self) -> str:
        """How its web addresses start: "/org/name", "/datasets/org/name"."""
        kind = "" if self.repo_type == "model" else f"/{self.types}"
        return f"{kind}/{self.repo_id}"

    @property
    def head(self) -> str:
        """The sha that the branch main points to."""
        return self.branches["main"]

    def commit(self, files: Mapping[str, bytes | Blob], branch: str = "main") -> str:
        """Add a commit that holds exactly these files, let the branch point to it, give its sha."""
        blobs = {
            path: content if isinstance(content, Blob) else blob_of(path, content)
            for path, content in files.items()
        }
        sha = commit_of(self.repo_id, blobs)
        self.commits[sha] = blobs
        self.branches[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        """The sha of a branch, tag, pull request, full or short sha; None where there is none."""
        pull = revision.removeprefix("refs/pr/")
        name = re.sub(r"^refs/(heads|tags)/", "", revision)
        if pull != revision:
            return self.pulls.get(pull)
        if sha := self.branches.get(name) or self.tags.get(name):
            return sha
        if revision in self.commits or not SHA.fullmatch(revision):
            return revision if revision in self.commits else None
        return next((sha for sha in self.commits if sha.startswith(revision)), None)


def repository_of_files(
    repo_id: str, files: Mapping[str, bytes | Blob], repo_type: RepoType = "model"
) -> Repository:
    """A repository with one commit that holds these files."""
    repository = Repository(repo_id, repo_type=repo_type)
    repository.commit(files)
    return repository


def repository_of_pack(path: str, repo_id: str) -> Repository:
    """A repository of the files of a header pack; what the pack does not hold is zeros."""
    from ckptscan.sources import open_source
    from ckptscan.sources.memory import MemorySource

    source = open_source(path)
    assert isinstance(source, MemorySource), f"{path} is no pack"
    files = {
        entry.path: blob_of(entry.path, source.held(entry.path) or b"", entry.size)
        for entry in source.files()
        if not entry.problem
    }
    return repository_of_files(repo_id, files)
