"""Where findings lie: many names as a few patterns, many faults as one finding a kind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from ckptscan.checkpoint import Checkpoint, FileFault
from ckptscan.checks.values import Check, Finding, Where
from ckptscan.names import IndexSet, escape, is_index, natural_key
from ckptscan.structure import Family

MOST = 1000  # places that one finding lists; the rest is counted in the last


def by_pattern(names: Iterable[str], file: str | None = None) -> tuple[Where, ...]:
    """These tensors as patterns with their indices, in natural order; a lone one by its name."""
    groups: dict[str, list[str]] = {}
    for name in names:
        segments = ("*" if is_index(segment) else escape(segment) for segment in name.split("."))
        groups.setdefault(".".join(segments), []).append(name)
    return bounded(
        _place(pattern, groups[pattern], file) for pattern in sorted(groups, key=natural_key)
    )


def _place(pattern: str, names: list[str], file: str | None) -> Where:
    if len(names) == 1:
        return Where(file, names[0])
    rows = ([int(part) for part in name.split(".") if is_index(part)] for name in names)
    columns = zip(*rows, strict=True)
    indices = tuple(str(IndexSet.of(column)) for column in columns)
    return Where(file, None, pattern, indices, len(names))


def bounded(places: Iterable[Where]) -> tuple[Where, ...]:
    """At most MOST places; what is left out is counted in the last."""
    found = list(places)
    if len(found) <= MOST:
        return tuple(found)
    rest = sum(place.count for place in found[MOST - 1 :])
    return (*found[: MOST - 1], Where(found[MOST - 1].file, count=rest))


def of_kinds(checkpoint: Checkpoint, kinds: Collection[str]) -> list[FileFault]:
    """The faults of these kinds, in the order of the files."""
    return [found for found in checkpoint.faults if found.fault.kind in kinds]


def told(check: Check, faults: Iterable[FileFault], hint: str = "") -> Iterator[Finding]:
    """One finding for each kind and gravity of these faults that the reader told."""
    groups: dict[tuple[str, str], list[FileFault]] = {}
    for found in faults:
        groups.setdefault((found.fault.kind, found.fault.severity), []).append(found)
    for (kind, severity), same in groups.items():
        first = same[0].fault
        times = sum(fault.times for _, fault in same)
        files = len({file for file, _ in same})
        message = first.message
        if times > 1:
            more = f"{times - 1:,} more like it"
            message += f"; {more} in {files:,} files" if files > 1 else f"; {more}"
        places = (
            Where(file, fault.tensor, count=fault.times, byte=fault.byte) for file, fault in same
        )
        # the reference's error is the variant with which safetensors refuses the file
        reference = {"reference": first.error} if first.error else {}
        finding = check.finding(
            message,
            *bounded(places),
            severity="info" if severity == "note" else severity,
            hint=hint,
        )
        yield replace(finding, evidence={"kind": kind, "times": times} | reference)


def place_of(family: Family) -> Where:
    """The tensors of a family, as its pattern and axes."""
    if not family.axes:
        return Where(tensor=family.pattern, count=family.count)
    axes = tuple(map(str, family.axes))
    return Where(pattern=family.pattern, indices=axes, count=family.count)
