"""I009: indexes that can't be used, or are very large."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.values import Check, Finding, Subject, Where

LARGE = 10 << 20  # bytes; libraries that parse it with JSON need ten times that
MANY = 10_000  # shards


def unwieldy_index(subject: Subject) -> Iterator[Finding]:
    """An index can't be used, or is so large that tools stumble.

    What it finds: as an error an index of the chosen set's folder that is no index: cut short, no
    JSON, without a weight_map; as a remark one of more than 10 MiB or 10,000 files.
    Why it matters: a loader fails on the first kind; browsers and small tools do on the second.
    Example: the index is not JSON: Unterminated string at character 8,123.
    What to do: download it again, or make a new one from the headers.
    """
    checkpoint = subject.checkpoint
    sizes = {entry.path: entry.size for entry in checkpoint.files}
    gone = {file for file, fault in checkpoint.faults if fault.kind == "index-unusable"}
    for path, index in checkpoint.indexes.items():
        if index.problem:
            yield UNWIELDY.finding(
                f"{path}: {index.problem}",
                Where(path),
                severity="error" if path in gone else "warning",
                hint="download it again, or make a new one from the headers",
            )
        elif sizes.get(path, 0) > LARGE or len(index.shards) > MANY:
            yield UNWIELDY.finding(
                f"{path} has {sizes.get(path, 0):,} bytes and names {len(index.shards):,} files",
                Where(path),
                bytes=sizes.get(path, 0),
                files=len(index.shards),
            )


UNWIELDY = Check("I009", "unwieldy-index", "info", unwieldy_index)

CHECKS: tuple[Check, ...] = (UNWIELDY,)
