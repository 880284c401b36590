"""E001, E003: how tensors lie in files, and files beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks.places import bounded, of_kinds
from ckptscan.checks.values import Check, Finding, Subject, Where

TINY = 20  # a shard of less than this part of the middle one is tiny
STEPS = (64, 256, 4096)  # what other readers align to: cache lines, Metal, pages


def unaligned_data(subject: Subject) -> Iterator[Finding]:
    """Tensors lie where their dtype is not aligned.

    What it finds: files whose data begin at no multiple of 8 bytes, or with tensors that begin at
    no multiple of their element; a warning where tensors are concerned.
    Why it matters: a reader that maps the file must copy such tensors first (vmlx-swift#377: 59 GB
    copied), and some refuse them (safetensors#607).
    Example: 124 files: the data begin at byte 34,127, not at a multiple of 8.
    What to do: write the files anew; the safetensors library pads its headers.
    """
    faults = of_kinds(subject.checkpoint, ("unaligned-data", "unaligned-tensor"))
    if not faults:
        return
    checkpoint = subject.checkpoint
    paths = dict.fromkeys(file for file, _ in faults)
    tensors_lie = any("not aligned to the dtype" in fault.message for _, fault in faults)
    starts = {shard.path: 8 + shard.header_size for shard in checkpoint.table.shards}
    more = f"; so in {len(paths):,} of {len(starts):,} files" if len(paths) > 1 else ""
    yield UNALIGNED.finding(
        faults[0].fault.message + more,
        *bounded(Where(path, byte=starts.get(path)) for path in paths),
        severity="warning" if tensors_lie else "info",
        hint="write the files anew; the safetensors library pads its headers",
        files=len(paths),
        aligned={str(step): sum(start % step == 0 for start in starts.values()) for step in STEPS},
    )


def uneven_shards(subject: Subject) -> Iterator[Finding]:
    """A shard is far smaller than the others.

    What it finds: shards, the last one left out, of less than a twentieth of the middle one.
    Why it matters: each file costs a request and an open file, and readers that take a file a
    worker wait for the largest (auto-round#1782).
    Example: 12 of 40 files have less than 1/20 of 4.6 GB.
    What to do: write the files anew with an even size.
    """
    shards: dict[str, list[tuple[int, str]]] = {}
    for shard in subject.checkpoint.table.shards:
        sizes = shards.setdefault(shard.component, [])
        sizes.append((shard.data_size, shard.path))
    tiny = [path for found in shards.values() for path in _tiny(found)]
    if tiny:
        count = len(subject.checkpoint.table.shards)
        yield UNEVEN.finding(
            f"{len(tiny):,} of {count:,} files have less than 1/{TINY} of the middle one",
            *bounded(map(Where, tiny)),
            hint="write the files anew with an even size",
            tiny=len(tiny),
            files=count,
        )


def _tiny(shards: Sequence[tuple[int, str]]) -> list[str]:
    """The tiny ones among shards of one component, without the last."""
    if len(shards) < 3:
        return []
    middle = sorted(size for size, _ in shards)[len(shards) // 2]
    return [path for size, path in shards[:-1] if size * TINY < middle]


UNALIGNED = Check("E001", "unaligned-data", "info", unaligned_data)
UNEVEN = Check("E003", "uneven-shards", "info", uneven_shards)

CHECKS: tuple[Check, ...] = (UNALIGNED, UNEVEN)
