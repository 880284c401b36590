"""Files of the project that looks at a checkpoint: settings, baselines, locks.

They are never read from inside the checkpoint, nor written there: whoever made it would decide what
is found in it. Only regular files of a bounded size are read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from ckptscan.errors import SourceError, SourceUnreadable, UsageError
from ckptscan.sources.local import open_regular
from ckptscan.sources.writing import write_whole

MAX_SETTINGS = 1 << 20  # bytes
# hub/models--org--name/snapshots/<commit>/ckptscan.toml
_SNAPSHOT = re.compile(r"/(?:models|datasets|spaces)--[^/]+/snapshots/")
_MARKS = (".git", "pyproject.toml", "setup.cfg")  # what the root of a project holds


def folders_of(specs: Iterable[str]) -> tuple[str, ...]:
    """The real folders that local sources are; a single file is none."""
    return tuple(os.path.realpath(_folder(spec)) for spec in specs if _is_folder(spec))


def folders_around(specs: Iterable[str]) -> tuple[str, ...]:
    """The real folders that local sources are, or lie in."""
    found = [spec for spec in specs if "\0" not in spec and os.path.lexists(spec)]
    return tuple(
        os.path.realpath(spec if os.path.isdir(spec) else os.path.dirname(spec) or ".")
        for spec in found
    )


def _is_folder(spec: str) -> bool:
    is_index = spec.endswith(".safetensors.index.json")
    return "\0" not in spec and (os.path.isdir(spec) or (is_index and os.path.isfile(spec)))


def _folder(spec: str) -> str:
    return spec if os.path.isdir(spec) else os.path.dirname(spec) or "."


def lies_in(path: str, folders: Iterable[str]) -> bool:
    """Whether a file lies in one of these real folders, by its name or where links lead."""
    real = os.path.realpath(path)
    named = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    beginnings = tuple(folder.rstrip(os.sep) + os.sep for folder in folders)
    return real.startswith(beginnings) or named.startswith(beginnings)


def is_cached(path: str) -> bool:
    """Whether a file lies in a snapshot of the Hugging Face cache, and so in some checkpoint."""
    return _SNAPSHOT.search(os.path.abspath(path).replace(os.sep, "/")) is not None


def refuse_inside(path: str, folders: Sequence[str]) -> None:
    """Raise UsageError for a path of ours that lies in one of these folders, or is none."""
    if "\0" in path:
        raise UsageError(f"{path!r}: no path holds a NUL", "name a file")
    try:
        is_inside = lies_in(path, folders)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"{path}: {reason}", "is the current folder still there?") from error
    if is_inside:
        raise UsageError(
            f"{path}: lies inside SOURCE, which may not decide what is found in it",
            "name a file of your project",
        )


def read_own(path: str, folders: Sequence[str], limit: int) -> bytes:
    """A file of ours; raises UsageError where it lies in one of `folders` or can't be read."""
    refuse_inside(path, folders)
    try:
        handle = open_regular(path)
        with os.fdopen(handle, "rb") as opened:
            held = opened.read(limit + 1)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(f"{path}: {reason}", "check the path") from error
    except SourceError as error:
        raise UsageError(error.message, error.hint) from error
    if len(held) > limit:
        raise UsageError(f"{path}: more than {limit:,} bytes", "no file of ours is so large")
    return held


def write_own(path: str, text: str, folders: Sequence[str]) -> None:
    """Write a file of ours, whole or not at all; raises UsageError for a place inside `folders`."""
    refuse_inside(path, folders)
    write_report(path, text.encode("utf-8", "surrogatepass"))


def is_replaceable(path: str) -> bool:
    """Whether a file may be written there: nothing is, or a regular file; never a device."""
    return os.path.isfile(path) or not os.path.exists(path)


def write_report(path: str, data: bytes) -> None:
    """Write a file that nothing of ours reads again, whole or not at all, wherever it is wanted.

    Raises UsageError for a place that no file can have, SourceUnreadable where the disk refuses.
    """
    if os.path.isdir(path):
        raise UsageError(f"{path}: is a directory", "name a file")
    if not is_replaceable(path):
        raise UsageError(f"{path}: is no regular file", "name a file")
    try:
        write_whole(path, data)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SourceUnreadable(f"{path}: {reason}", "choose another place") from error


def project_folders() -> Iterator[str]:
    """The current folder, and those above it up to the root of the project that it lies in.

    The root is the first folder with .git, pyproject.toml or setup.cfg. Where there is none below
    the home and the root of the disk, or a folder on the way is another owner's, the current folder
    is all: who else may write above it does not decide.
    """
    try:
        folder = os.getcwd()
        owner = os.stat(folder).st_uid
        found = [folder]
        while not any(os.path.lexists(os.path.join(folder, name)) for name in _MARKS):
            above = os.path.dirname(folder)
            if folder == _home() or above in (folder, _home()) or os.stat(above).st_uid != owner:
                found = found[:1]
                break
            folder = above
            found.append(folder)
    except OSError:  # the current folder is gone
        return
    yield from found


def _home() -> str:
    return os.path.realpath(os.path.expanduser("~"))
