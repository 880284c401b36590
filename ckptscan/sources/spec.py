"""What the user typed -> the source that it names."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from ckptscan.errors import SourceNotFound, SourceUnreadable, UsageError
from ckptscan.sources.access import Access
from ckptscan.sources.base import Source
from ckptscan.sources.local import open_local
from ckptscan.sources.redaction import redacted

if TYPE_CHECKING:
    from pathlib import Path

PACK_SUFFIX = ".ckptpack"

_HTTP = ("ckptscan.sources.http", "open_http")
_CLOUD = ("ckptscan.sources.cloud", "open_cloud")
# scheme -> module and function that open it; imported when asked for
_ELSEWHERE = {
    "http": _HTTP,
    "https": _HTTP,
    "s3": _CLOUD,
    "gs": _CLOUD,
    "az": _CLOUD,
    "abfs": _CLOUD,
    "abfss": _CLOUD,
    "ms": ("ckptscan.sources.modelscope", "open_modelscope"),
}

_XZ = b"\xfd7zXZ\x00"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WILD = re.compile(r"[*?[]")


def expand(spec: str) -> list[str]:
    """The sources that a spec names: itself, or what a glob that names no file matches."""
    wild = _WILD.search(spec)
    if not wild or os.path.lexists(spec) or _SCHEME.match(spec):
        return [spec]
    from pathlib import Path  # its ** follows no links, and so ends

    from ckptscan.names import natural_key

    fixed = Path(spec[: wild.start()] + "_").parent
    pattern = spec[len(spec[: wild.start()].rpartition("/")[0]) :].lstrip("/")
    try:
        matches = [path for path in fixed.glob(pattern) if not _is_hidden(path, fixed)]
        found = sorted(map(str, matches), key=natural_key)
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(f"{spec}: no glob: {error}", "** stands alone between slashes") from error
    if not found:
        raise SourceNotFound(f"{spec}: nothing matches", "quote globs only where they are meant")
    return found


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def open_source(spec: str, access: Access | None = None) -> Source:
    """The source that a spec names; raises SourceError or UsageError, each with a hint.

    What is on disk goes before what is called so elsewhere.
    """
    access = access or Access()
    if not spec:
        raise UsageError("an empty source", "name a directory, a .safetensors file or a pack")
    if "\0" not in spec and os.path.lexists(spec):
        if access.revision or access.repo_type:
            raise UsageError(
                f"{spec}: is on this disk, and has no --revision and no --repo-type",
                f"for the repository on the Hub write hf://{spec}",
            )
        return _open_on_disk(spec, access)
    if _SCHEME.match(spec):
        return _open_address(spec, access)
    from ckptscan.sources.hub import address

    if address.looks_short(spec):
        return _open_short(spec, access)
    raise _not_found(spec)


def _open_on_disk(spec: str, access: Access) -> Source:
    try:
        if _is_pack(spec):
            from ckptscan.sources.pack import open_pack  # lzma, tarfile: 10 ms

            access.watch.opened(spec, os.path.getsize(spec))
            return open_pack(spec)
        return open_local(spec, access.watch)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SourceUnreadable(f"{spec}: {reason}", "check the path and its permissions") from error


def _open_address(spec: str, access: Access) -> Source:
    """The source behind `hf://`, `https://`, `s3://` and their like."""
    from ckptscan.sources.hub import address

    scheme = spec.partition("://")[0].lower()
    spec = scheme + spec[len(scheme) :]
    if scheme == "hf" or (scheme.startswith("http") and address.is_page(spec)):
        return _open_repository(spec, access)
    if scheme not in _ELSEWHERE:
        raise UsageError(
            f"{redacted(spec)}: no kind of address that is known",
            "known are hf://, https://, http://, s3://, gs://, az:// and ms://",
        )
    if scheme != "ms" and (access.revision or access.repo_type):
        raise UsageError(
            f"{redacted(spec)}: has no --revision and no --repo-type", "repositories have"
        )
    module, name = _ELSEWHERE[scheme]
    opened: Source = getattr(import_module(module), name)(spec, redacted(spec), access)
    return opened


def _open_repository(spec: str, access: Access) -> Source:
    from ckptscan.sources.hub import address, open_hub

    parse = address.parse_page if spec.startswith(("http://", "https://")) else address.parse
    found = address.with_options(parse(spec), access.revision, access.repo_type)
    return open_hub(redacted(spec), found, access)


def _open_short(spec: str, access: Access) -> Source:
    """A repository written `org/name`, unless it is a path with a slip in it."""
    near = _nearest(spec)
    if near:
        raise SourceNotFound(
            f"{redacted(spec)}: no such file or directory",
            f"did you mean {near[0]}? a repository of the Hub is meant by hf://{spec}",
        )
    return _open_repository(spec, access)


def _is_pack(spec: str) -> bool:
    """Whether the path is a header pack: by its suffix, or as xz data of another name."""
    if not os.path.isfile(spec) or spec.endswith(".safetensors"):
        return False
    if spec.endswith(PACK_SUFFIX):
        return True
    with open(spec, "rb") as opened:
        return opened.read(len(_XZ)) == _XZ


def _not_found(spec: str) -> SourceNotFound:
    shown = redacted(spec)
    near = _nearest(spec)
    if near:
        return SourceNotFound(f"{shown}: no such file or directory", f"did you mean {near[0]}?")
    return SourceNotFound(
        f"{shown}: no such file or directory",
        "check the path; a repository of the Hub is written org/name, or hf://name",
    )


def _nearest(spec: str) -> Sequence[str]:
    """Existing paths beside the missing one whose names come close."""
    import difflib

    folder, name = os.path.split(spec.rstrip("/"))
    try:
        beside = sorted(os.listdir(folder or "."))
    except (OSError, ValueError):
        return []
    close = difflib.get_close_matches(name, beside, 1)
    return [os.path.join(folder, match) for match in close]
