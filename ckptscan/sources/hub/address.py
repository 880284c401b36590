"""What people type and paste -> a repository of the Hub, a revision, and a place in it.

Qwen/Qwen2-7B   Qwen/Qwen2-7B@v1.0   hf://datasets/org/name@refs/pr/3/sub/folder
https://huggingface.co/org/name/tree/main/sub   .../blob/main/model.safetensors   .../resolve/...
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ckptscan.errors import UsageError
from ckptscan.index import is_index
from ckptscan.paths import is_inside
from ckptscan.sources.hub import settings
from ckptscan.sources.redaction import redacted

KINDS = ("model", "dataset", "space")
_PLURALS = {f"{kind}s": kind for kind in KINDS}
# Qwen/Qwen2-7B, Qwen/Qwen2-7B@main; no scheme, so both segments must be there
_SHORT = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(@[^\s]+)?", re.ASCII)
_SEGMENT = re.compile(r"[\w-][\w.-]{0,127}", re.ASCII)  # huggingface_hub allows 96
# revisions that hold a slash: refs/pr/3, refs/convert/parquet
_REF = re.compile(r"refs/(?:pr/\d+|convert/[\w.-]+|heads/[\w.-]+)")
_FILES = (".safetensors", ".json", ".ckptpack", ".bin", ".gguf", ".pt")
_PAGES = ("tree", "blob", "resolve", "raw", "blame")


class Repository(NamedTuple):
    """A repository, a revision where one was named, and the folder or file that is meant in it."""

    kind: str
    name: str
    revision: str | None = None
    path: str = ""

    @property
    def named(self) -> str | None:
        """`file` or `index` where one was named, else None: a folder is meant."""
        if self.path.endswith(".safetensors"):
            return "file"
        return "index" if is_index(self.path) else None

    @property
    def folder(self) -> str:
        """The folder below which files are looked for, "" for the root."""
        return self.path.rpartition("/")[0] if self.named else self.path


def looks_short(spec: str) -> bool:
    """Whether this may be `org/name`, where no file on disk is called so."""
    return bool(_SHORT.fullmatch(spec)) and not spec.partition("@")[0].endswith(_FILES)


def is_page(url: str) -> bool:
    """Whether an address is one of the Hub: of huggingface.co or the endpoint that is set."""
    try:
        hosts = [urlsplit(one).netloc.rpartition("@")[2] for one in (url, settings.endpoint())]
    except ValueError:
        return False
    return hosts[0].lower() in (*settings.HOSTS, hosts[1].lower())


def parse(spec: str) -> Repository:
    """`org/name`, `hf://...` -> what it names; raises UsageError."""
    text = spec.removeprefix("hf://").strip("/")
    kind = "model"
    first, _, rest = text.partition("/")
    if spec.startswith("hf://") and first in _PLURALS and rest:
        kind, text = _PLURALS[first], rest
    before, at, after = text.partition("@")
    if not at:
        segments = before.split("/")
        return _checked(
            spec, Repository(kind, "/".join(segments[:2]), None, "/".join(segments[2:]))
        )
    revision, path = _split_revision(after)
    return _checked(spec, Repository(kind, before, unquote(revision), path))


def parse_page(url: str) -> Repository:
    """An address of the Hub, as the browser shows it -> what it names; raises UsageError."""
    below = urlsplit(settings.endpoint()).path
    path = unquote(urlsplit(url).path)
    if urlsplit(url).netloc == urlsplit(settings.endpoint()).netloc:
        path = path.removeprefix(below)
    segments = [segment for segment in path.split("/") if segment]
    kind = "model"
    if segments and segments[0] in _PLURALS:
        kind = _PLURALS[segments.pop(0)]
    name, rest = segments[:2], segments[2:]
    if len(segments) > 1 and segments[1] in _PAGES:  # gpt2/blob/main/..., from before namespaces
        name, rest = segments[:1], segments[1:]
    if not rest:
        return _checked(url, Repository(kind, "/".join(name)))
    if rest[0] not in _PAGES or len(rest) < 2:
        raise UsageError(
            f"{redacted(url)}: no address of a repository, a folder or a file",
            "paste the address of the model's page, or of Files and versions",
        )
    revision, inside = _split_revision("/".join(rest[1:]))
    if rest[0] != "tree" and not Repository(kind, "", None, inside).named:
        inside = inside.rpartition("/")[0]  # config.json was looked at: its folder is meant
    return _checked(url, Repository(kind, "/".join(name), revision, inside))


def with_options(found: Repository, revision: str | None, kind: str | None) -> Repository:
    """The same with --revision and --repo-type; raises UsageError where both are said apart."""
    if revision is not None and found.revision not in (None, revision):
        raise UsageError(
            f"{found.name}: {found.revision} is named in the source, {revision} by --revision",
            "name one of them",
        )
    kind = kind or found.kind
    if found.kind not in ("model", kind):
        raise UsageError(f"{found.name}: is named as a {found.kind}, by --repo-type as a {kind}")
    return _checked(found.name, found._replace(revision=revision or found.revision, kind=kind))


def _split_revision(text: str) -> tuple[str, str]:
    """`refs/pr/3/sub` -> (refs/pr/3, sub)."""
    ref = _REF.match(text)
    if ref and text[ref.end() :][:1] in ("", "/"):
        return ref[0], text[ref.end() + 1 :]
    revision, _, path = text.partition("/")
    return revision, path


def _checked(spec: str, found: Repository) -> Repository:
    shown = redacted(spec)
    segments: Sequence[str] = found.name.split("/")
    is_name = len(segments) in (1, 2) and all(
        _SEGMENT.fullmatch(segment) and ".." not in segment for segment in segments
    )
    if not is_name:
        raise UsageError(f"{shown}: no name of a repository", "one is written org/name")
    if found.revision is not None and not _is_revision(found.revision):
        raise UsageError(f"{shown}: no revision is named so", "name a branch, a tag or a commit")
    if found.path and not is_inside(found.path):
        raise UsageError(f"{shown}: no path within a repository", "write it org/name@main/folder")
    return found


def _is_revision(text: str) -> bool:
    """Whether a revision may be called so, and no server takes a part of it for a folder."""
    return text.isprintable() and {"", ".", ".."}.isdisjoint(text.strip().split("/"))
