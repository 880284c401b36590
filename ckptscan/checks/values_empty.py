"""V002, V003: weights that are zero, of one value, or hold the same piece again and again."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.contents import (
    CORE,
    RESIDUAL,
    TABLES,
    TRAINED,
    Read,
    groups,
    sampled,
)
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject
from ckptscan.names import is_index

_MANY = 8  # pages; a share of so few that repeat says little
_REPEATED = 0.25  # of a tensor's pages


def all_zero(subject: Subject) -> Iterator[Finding]:
    """A weight is zero all over.

    What it finds: matrices of which every element is zero. Where a model can't work so (attention,
    feed-forward, embedding; others beside siblings that are not) it is an error, else a warning.
    What begins as zero is left out: biases, norms, lora_B, modulations, scales of layers, tables of
    positions, buffers; blocks that were put in to change nothing are a warning.
    Why it matters: a download into a file of the right size leaves zeros where nothing came
    (microsoft/BitNet#608; 27 of 339 tensors in aprender#2337). It loads, and speaks gibberish.
    Example: model.layers.7.mlp.up_proj.weight holds 58,720,256 zeros.
    What to do: download the file again, and compare its sha256 (`--hash`).
    """
    content = subject.given.content
    wrong: list[Read] = []
    odd: list[Read] = []
    adding: list[Read] = []
    others: set[str] = set()
    for group in groups(subject, content):
        zero = [one for one in group.tensors if one.found.is_zero] if group.is_weight else []
        if group.role in RESIDUAL:
            adding += zero
        elif group.role in CORE or (group.role in TRAINED and len(zero) < len(group.tensors)):
            wrong += zero
            others |= {_block(one.name) for one in zero}
        else:
            odd += zero
    idle = _idle_blocks(subject, adding) - others
    wrong += [one for one in adding if _block(one.name) not in idle]
    odd += [one for one in adding if _block(one.name) in idle]
    for tensors, severity in ((wrong, "error"), (odd, "warning")):
        if tensors:
            yield _zero(tensors, severity, sampled(content))


def _block(name: str) -> str:
    """The layer that a tensor lies in: its name up to the first index."""
    segments = name.split(".")
    first = next((at for at, segment in enumerate(segments) if is_index(segment)), len(segments))
    return ".".join(segments[: first + 1])


def _idle_blocks(subject: Subject, adding: list[Read]) -> set[str]:
    """Blocks whose attention and feed-forward both add nothing: put in, and not trained yet."""
    zero = {one.row for one in adding}
    roles: dict[str, set[str]] = {}
    moving: set[str] = set()
    for group in groups(subject, subject.given.content) if zero else ():
        for one in group.tensors if group.role in RESIDUAL and group.is_weight else ():
            if one.row in zero:
                roles.setdefault(_block(one.name), set()).add(group.role)
            else:
                moving.add(_block(one.name))
    return {block for block, held in roles.items() if "o" in held and len(held) > 1} - moving


def _zero(tensors: list[Read], severity: str, where: str) -> Finding:
    count = f"{len(tensors):,} weight{'s are' if len(tensors) != 1 else ' is'}"
    return ZERO.finding(
        f"{count} zero all over{where}: {sum(one.found.numel for one in tensors):,} elements",
        *by_pattern(one.name for one in tensors),
        severity=severity,
        confidence=PROVED if severity == "error" else INFERRED,
        hint="download the file again, and compare its sha256: --hash",
        tensors=len(tensors),
    )


def repeated(subject: Subject) -> Iterator[Finding]:
    """A weight is constant, has a hole of zeros, or repeats itself.

    What it finds: matrices of one value that is not zero; 64 KiB and more of zeros inside a weight;
    weights of which a quarter of the 64 KiB pages holds what another page holds. Rows of tables are
    told by V009.
    Why it matters: no training leaves that. A part that never came leaves a hole in a sparse file
    (aprender#2337); a tool that writes one buffer twice repeats it.
    Example: model.layers.7.mlp.up_proj.weight is zero for 8,388,608 bytes from 33,554,432 on.
    What to do: download the file again, and compare its sha256 (`--hash`). Weights that were pruned
    by rows, or padded, are zero in places on purpose.
    """
    content = subject.given.content
    constant: list[Read] = []
    holes: list[Read] = []
    repeats: list[Read] = []
    for group in groups(subject, content):
        if not group.is_weight:
            continue
        varied = [one for one in group.tensors if not one.found.is_constant]
        constant += [o for o in group.tensors if o.found.is_constant and not o.found.is_zero]
        if group.role in CORE - TABLES:
            holes += [one for one in varied if one.found.hole[1]]
            repeats += [one for one in varied if _repeats(one)]
    where = sampled(content)
    if constant:
        yield _one_value(constant, where)
    if holes:
        yield _hole(holes, where)
    if repeats:
        yield REPEATED.finding(
            f"{len(repeats):,} weights repeat pages of 64 KiB{where}",
            *by_pattern(one.name for one in repeats),
            confidence=INFERRED,
            hint="download the file again, and compare its sha256: --hash",
            seen=f"{repeats[0].found.repeats:,} of {repeats[0].found.pages:,} pages",
        )


def _repeats(one: Read) -> bool:
    found = one.found
    return found.pages >= _MANY and found.repeats >= _REPEATED * found.pages


def _one_value(tensors: list[Read], where: str) -> Finding:
    return REPEATED.finding(
        f"{len(tensors):,} weight{'s hold' if len(tensors) != 1 else ' holds'} one value only"
        f"{where}: {tensors[0].found.highest:.6g}",
        *by_pattern(one.name for one in tensors),
        confidence=INFERRED,
        hint="was it ever trained? compare the file's sha256: --hash",
        tensors=len(tensors),
    )


def _hole(tensors: list[Read], where: str) -> Finding:
    largest = max(tensors, key=lambda one: one.found.hole[1])
    start, nbytes = largest.found.hole
    count = f"{len(tensors):,} weight{'s have' if len(tensors) != 1 else ' has'}"
    return REPEATED.finding(
        f"{count} a hole of zeros{where}: {nbytes:,} bytes from byte {start:,} of {largest.name}",
        *by_pattern(one.name for one in tensors),
        confidence=INFERRED,
        hint="download the file again, and compare its sha256: --hash",
        bytes=nbytes,
        start=start,
    )


ZERO = Check("V002", "all-zero", "error", all_zero, "content")
REPEATED = Check("V003", "repeated-content", "warning", repeated, "content")
CHECKS: tuple[Check, ...] = (ZERO, REPEATED)
