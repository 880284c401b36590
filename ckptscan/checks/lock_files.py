"""L005-L007: files that are not what they were when the checkpoint was locked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckptscan.checks.lock_tensors import HINT, drift_of
from ckptscan.checks.places import bounded
from ckptscan.checks.values import Check, Finding, Subject, Where

if TYPE_CHECKING:
    from ckptscan.lock import FileDrift


def shard_drift(subject: Subject) -> Iterator[Finding]:
    """Weight files have come or gone, or have another size than when they were locked.

    What it finds: Weight files of the set that the lock has and the checkpoint does not, or the
    other way round, and those with more or fewer bytes.
    Why it matters: A cut download, or a file that was written anew.
    Example: model.safetensors: 4,302,384,375 bytes in the lock, 4,302,384,367 now.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    drift = drift_of(subject).sizes
    if drift:
        yield _finding(SHARDS, drift)


def header_drift(subject: Subject) -> Iterator[Finding]:
    """Headers are not the bytes that they were when the checkpoint was locked.

    What it finds: Weight files that are still there and whose header has another sha256; those that
    hold the same names, dtypes and shapes all the same are said to.
    Why it matters: Where nothing else has changed, the file was saved anew: in another order, at
    other offsets, with other metadata, and its weights may be others too.
    Example: model.safetensors: another header with the same tensors.
    What to do: Take the revision that was locked; if the change is meant, lock it anew.
    """
    drift = drift_of(subject)
    for is_same, what in ((True, "the same tensors"), (False, "other tensors")):
        paths = [path for path in drift.headers if (path in drift.same_tensors) is is_same]
        if paths:
            more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
            yield HEADERS.finding(
                f"{paths[0]}{more}: another header than the locked one, with {what}",
                *bounded(map(Where, paths)),
                hint=HINT,
                drift=what.replace(" ", "-"),
            )


def content_drift(subject: Subject) -> Iterator[Finding]:
    """Files hold something else than when the checkpoint was locked.

    What it finds: Weight files whose sha256 is known without reading them (from the Hub's list or a
    cache) and is another; configs, tokenizers, templates and code that changed, came or went.
    Why it matters: Headers do not tell apart weights that were trained on; a config, a template or
    a line of Python changes what the model does.
    Example: config.json: its sha256 is another than in the lock.
    What to do: Read what has changed; take the revision that was locked, or lock it anew.
    """
    drift = drift_of(subject).contents
    if drift:
        yield _finding(CONTENTS, drift)


def _finding(check: Check, drift: Sequence[FileDrift]) -> Finding:
    """The first file in words; before and after of it and a few more as evidence."""
    more = f"; {len(drift) - 1:,} more files drifted" if len(drift) > 1 else ""
    return check.finding(
        f"{drift[0].path}: {_change(drift[0])}{more}",
        *bounded(Where(one.path) for one in drift),
        hint=HINT,
        expected=drift[0].before,
        seen=drift[0].after,
        files={one.path: [one.before, one.after] for one in drift[:20]},
    )


def _change(one: FileDrift) -> str:
    if one.before is None:
        return "is not in the lock"
    if one.after is None:
        return "of the lock is absent"
    if isinstance(one.before, int) and isinstance(one.after, int):
        return f"{one.before:,} bytes in the lock, {one.after:,} now"
    return "its sha256 is another than in the lock"


SHARDS = Check("L005", "shard-drift", "error", shard_drift, "lock")
HEADERS = Check("L006", "header-drift", "error", header_drift, "lock")
CONTENTS = Check("L007", "content-drift", "error", content_drift, "lock")

CHECKS: tuple[Check, ...] = (SHARDS, HEADERS, CONTENTS)
