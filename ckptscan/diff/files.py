"""The files of two checkpoints: new, gone, changed, the same; by what is known for free."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.checkpoint import Checkpoint
from ckptscan.diff.proof import Proofs
from ckptscan.diff.settings import FILES
from ckptscan.diff.values import FileChange
from ckptscan.names import natural_key
from ckptscan.sources import FileEntry


def files(a: Checkpoint, b: Checkpoint, proofs: Proofs) -> tuple[FileChange, ...]:
    """Every file of either side, by its path."""
    ours = {entry.path: entry for entry in a.files}
    theirs = {entry.path: entry for entry in b.files}
    equal = {a.table.shards[number].path for number in proofs.same_files}
    weights = {shard.path for side in (a, b) for shard in side.table.shards}
    known = _same_documents(a, b)
    return tuple(
        FileChange(
            path,
            _status(ours.get(path), theirs.get(path), path in equal, path in known),
            ours[path].size if path in ours else None,
            theirs[path].size if path in theirs else None,
            path in weights,
        )
        for path in sorted(ours.keys() | theirs.keys(), key=natural_key)
    )


def _status(one: FileEntry | None, two: FileEntry | None, is_proved: bool, is_read: bool) -> str:
    if one is None:
        return "added"
    if two is None:
        return "removed"
    is_same_file = one.identity is not None and one.identity == two.identity
    if is_same_file or (one.digest and one.digest == two.digest):
        return "same"
    is_told = one.is_size_told and two.is_size_told
    if (is_told and one.size != two.size) or (one.digest and two.digest):
        return "changed"
    return "same" if is_proved or is_read else "unknown"


def _same_documents(a: Checkpoint, b: Checkpoint) -> set[str]:
    """Config files that were read and say the same on both sides."""
    if a is b:
        return {entry.path for entry in a.files}
    one: Mapping[str, object] = a.config.documents
    two: Mapping[str, object] = b.config.documents
    return {name for name in FILES if name in one and name in two and one[name] == two[name]}
