"""I001, I006-I008: the files that an index or a numbering promises, and those that none names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ckptscan.checkpoint import Checkpoint, SetSummary
from ckptscan.checks.evidence.indexed import promised
from ckptscan.checks.places import bounded
from ckptscan.checks.values import Check, Finding, Subject, Where

# model-00001-of-00029.safetensors
NUMBERED = re.compile(r"(?P<stem>.*?)(?P<number>\d+)[-_]of[-_](?P<count>\d+)(?P<rest>.*)", re.ASCII)


def missing_shard(subject: Subject) -> Iterator[Finding]:
    """An index names a file that is not there.

    What it finds: shards in a weight_map that the source does not hold; as a warning where the
    index belongs to a set that was not chosen.
    Why it matters: some engines load what is there and leave the rest uninitialised (sglang#32279).
    Example: 2 of 4 files are absent, named by model.safetensors.index.json.
    What to do: download the missing files, or the index that belongs to these.
    """
    checkpoint = subject.checkpoint
    present = {entry.path for entry in checkpoint.files if entry.size or not entry.problem}
    for path in checkpoint.indexes:
        named = promised(checkpoint, path)
        absent = [shard for shard in named if shard not in present]
        if absent:
            is_used = path in checkpoint.used
            yield MISSING_SHARD.finding(
                f"{len(absent):,} of {len(named):,} files are absent, named by {path}",
                *bounded(map(Where, absent)),
                severity="error" if is_used else "warning",
                hint="download the missing files",
                expected=len(named),
                seen=len(named) - len(absent),
            )


def numbering_hole(subject: Subject) -> Iterator[Finding]:
    """The numbers of the shards promise files that are not there.

    What it finds: files missing from a numbering `00001-of-00029`; as a warning where an index
    names every file that is there, and the names alone are wrong.
    Why it matters: part of the model is missing, and without an index nothing else tells.
    Example: 28 files of a numbering up to 29; model-00007-of-00029.safetensors is absent.
    What to do: download the missing files; renamed files need a new index.
    """
    checkpoint = subject.checkpoint
    named = {shard for path in checkpoint.indexes for shard in promised(checkpoint, path)}
    absent = [path for path in checkpoint.missing if path not in named]
    if absent:
        shards = len(checkpoint.table.shards)
        yield NUMBERING.finding(
            f"{len(absent):,} files that the numbering promises are absent, such as {absent[0]}",
            *bounded(map(Where, absent)),
            hint="download the missing files",
            expected=shards + len(absent),
            seen=shards,
        )
    for path in checkpoint.used:
        yield from _miscounted(path, promised(checkpoint, path))


def _miscounted(path: str, named: Mapping[str, str]) -> Iterator[Finding]:
    """An index whose files are numbered, and are not as many as the numbers say."""
    matches = [NUMBERED.fullmatch(shard) for shard in named]
    stated = {(match["stem"], match["count"], match["rest"]) for match in matches if match}
    if len(stated) != 1 or not all(matches):
        return
    (_, count, _), *_ = stated
    numbers = {int(match["number"]) for match in matches if match and len(match["number"]) < 10}
    expected = int(count) if len(count) < 10 else 0
    # shards count from 1 to n, from 0 to n - 1, or from 0 to n (gpt-oss)
    fits = any(
        numbers == set(range(first, last + 1))
        for first, last in ((1, expected), (0, expected - 1), (0, expected))
        if 0 <= last - first < 100_000
    )
    if not fits:
        yield NUMBERING.finding(
            f"the files that {path} names are numbered up to {expected:,}, it names {len(named):,}",
            Where(path),
            severity="warning",
            hint="look whether the index belongs to these files",
            expected=expected,
            seen=len(named),
        )


def second_set(subject: Subject) -> Iterator[Finding]:
    """Weight files lie here that the chosen set does not hold.

    What it finds: further sets of safetensors files: `consolidated.*` beside `model-*`, a
    quantized copy, `original/`. In the same folder it is a warning, in another a remark.
    Why it matters: loaders that take every file have loaded both (vllm#40765), and a download
    takes twice the time.
    Example: consolidated (291 tensors in 1 file) beside model (291 tensors in 3 files).
    What to do: load by name, or download with a pattern; `--set` chooses which one is audited.
    """
    checkpoint = subject.checkpoint
    folders = {shard.path.rpartition("/")[0] for shard in checkpoint.table.shards}
    chosen = ", ".join(one.name for one in checkpoint.sets if one.chosen)
    for one in _others(checkpoint):
        is_beside = one.name.rpartition("/")[0] in folders
        tensors = (
            "tensors that can't be counted" if one.tensors is None else f"{one.tensors:,} tensors"
        )
        yield SECOND_SET.finding(
            f"{one.name} ({tensors} in {one.files:,} file{'s' * (one.files != 1)}) lies beside "
            f"{chosen}",
            Where(one.name, count=one.files),
            severity="warning" if is_beside else "info",
            hint="load by name; --set chooses which one is audited",
            chosen=chosen,
            also=one.name,
        )


def _others(checkpoint: Checkpoint) -> list[SetSummary]:
    return [one for one in checkpoint.sets if not one.chosen and not one.within and one.files]


def file_beside_shards(subject: Subject) -> Iterator[Finding]:
    """One file and sharded files of the same name hold different tensors.

    What it finds: `model.safetensors` beside `model.safetensors.index.json` and its shards, with
    other tensors or other bytes.
    Why it matters: which one is loaded depends on the library (mlx-vlm#1464).
    Example: model.safetensors holds 291 tensors, the shards of its index hold 290.
    What to do: remove the stale one.
    """
    checkpoint = subject.checkpoint
    by_name = {one.name: one for one in checkpoint.sets}
    for name, one in by_name.items():
        other = by_name.get(f"{name}-sharded") or by_name.get(f"{name}-2")
        if other is None or None in (one.tensors, other.tensors) or not one.files * other.files:
            continue
        if (one.tensors, one.nbytes) != (other.tensors, other.nbytes):
            yield BESIDE.finding(
                f"{name} holds {one.tensors:,} tensors and {one.nbytes:,} bytes, {other.name} "
                f"{other.tensors:,} and {other.nbytes:,}",
                Where(f"{name}.safetensors"),
                Where(other.name, count=other.files),
                hint="remove the stale one",
                expected={"tensors": other.tensors, "bytes": other.nbytes},
                seen={"tensors": one.tensors, "bytes": one.nbytes},
            )


MISSING_SHARD = Check("I001", "missing-shard", "error", missing_shard)
NUMBERING = Check("I006", "numbering-hole", "error", numbering_hole)
SECOND_SET = Check("I007", "second-set", "warning", second_set)
BESIDE = Check("I008", "file-beside-shards", "warning", file_beside_shards)

CHECKS: tuple[Check, ...] = (MISSING_SHARD, NUMBERING, SECOND_SET, BESIDE)
