"""Faults and remarks as lines: errors and warnings one a line, notes one a kind."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint, FileFault
from ckptscan.report import words

PACK_NOTE = "a header pack: what its writer claims; no weights were seen"
SHOWN = 20  # faults that have a line of their own


def remark_lines(checkpoint: Checkpoint) -> Iterator[str]:
    """All that a reader of any view has to know: incomplete, packed, faulty."""
    gaps = gaps_line(checkpoint)
    if gaps:
        yield f"warning: {gaps}"
    yield from fault_lines(checkpoint)
    if checkpoint.origin.packed:
        yield f"note: {PACK_NOTE}"


def gaps_line(checkpoint: Checkpoint) -> str:
    """Why the totals are not those of the whole checkpoint, or nothing."""
    if not checkpoint.gaps:
        return ""
    return f"incomplete ({', '.join(checkpoint.gaps)}): the totals count what is there"


def fault_lines(checkpoint: Checkpoint) -> Iterator[str]:
    """The faults of a checkpoint, errors first; many are counted."""
    grave = [one for one in checkpoint.faults if one.fault.severity != "note"]
    kinds: dict[str, list[FileFault]] = {}
    for one in checkpoint.faults:
        if one.fault.severity == "note":
            kinds.setdefault(one.fault.kind, []).append(one)
    for file, fault in sorted(grave, key=lambda one: one.fault.severity)[:SHOWN]:
        variant = f"{fault.error}: " if fault.error else ""
        yield f"{fault.severity}: {words.label(file)}: {variant}{words.printable(fault.message)}"
    if len(grave) > SHOWN:
        yield f"... and {len(grave) - SHOWN:,} more; --format json lists all"
    for same in kinds.values():
        file, fault = same[0]
        more = f" and {words.plural(len(same) - 1, 'more file')}" if len(same) > 1 else ""
        yield f"note: {words.label(file)}{more}: {words.printable(fault.message)}"
