"""Where a finding lies, and what it saw, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ckptscan.checks import Audit, Finding, Where
from ckptscan.checks.values import IGNORED, NEEDS, NOT_SELECTED
from ckptscan.content.values import Content
from ckptscan.names import is_visible
from ckptscan.report import words

SHOWN = 3  # places of a finding that have a line
_TOLD = ("expected", "seen")  # what of the evidence a person reads
_BREAKS = re.compile(r"[,;:](?= |$)")  # between words, not within 1,024


def place(where: Where) -> str:
    """One place in words: `model.layers.*.mlp.up_proj.weight (3,7) in model.safetensors`."""
    name = where.pattern if where.pattern is not None else where.tensor
    words_of: list[str] = []
    if name is not None:
        words_of.append(words.label(name) if name else "(an empty name)")
    if where.pattern is not None and where.indices:
        axes = " x ".join(words.indices(words.printable(axis)) for axis in where.indices)
        words_of.append(f"({axes})")
    if where.file is not None:
        words_of.append(f"in {words.label(where.file)}" if words_of else words.label(where.file))
    if where.byte is not None:
        words_of.append(f"at byte {where.byte:,}")
    if where.count > 1:
        words_of.append(f"[{where.count:,}]")
    return " ".join(words_of) or "the checkpoint"


def places(finding: Finding) -> list[str]:
    """The first places, and how many more there are."""
    shown = [place(where) for where in finding.where[:SHOWN]]
    more = len(finding.where) - SHOWN
    return [*shown, f"and {words.plural(more, 'more place')}"] if more > 0 else shown


def evidence(finding: Finding) -> str:
    """What was expected and what is seen, as far as the message is not the whole of it."""
    told = {key: value(finding.evidence[key]) for key in _TOLD if key in finding.evidence}
    said = f" {_BREAKS.sub(' ', plain(finding.message))} "
    if all(f" {_BREAKS.sub(' ', text)} " in said for text in told.values()):
        return ""
    return ", ".join(f"{key} {text}" for key, text in told.items())


def value(found: object) -> str:
    """A value of the evidence on one line, printable and not too long."""
    if isinstance(found, bool) or found is None:
        return str(found).lower() if found is not None else "nothing"
    if isinstance(found, int):
        return f"{found:,}"
    if isinstance(found, str):
        return words.label(found)
    if isinstance(found, Mapping):
        return ", ".join(f"{value(key)} {value(held)}" for key, held in list(found.items())[:8])
    if isinstance(found, Sequence) and all(isinstance(one, int) for one in found):
        return words.shape([one for one in found if isinstance(one, int)])
    if isinstance(found, Sequence):
        more = f" and {len(found) - 5:,} more" if len(found) > 5 else ""
        return ", ".join(map(value, found[:5])) + more
    return words.label(str(found))


def plain(text: str) -> str:
    """Text as it may stand in any report: printable, on one line."""
    return text if is_visible(text) else words.printable(text)


def summary(audit: Audit) -> str:
    """`1 error, 2 warnings, 3 remarks, 1 ignored; 35 checks run, 2 left out`.

    Checks that ask for something that was not given are not left out.
    """
    counts = (
        words.plural(audit.count("error"), "error"),
        words.plural(audit.count("warning"), "warning"),
        words.plural(audit.count("info"), "remark"),
    )
    nothing = "nothing new found" if audit.known else "nothing found"
    told = ", ".join(counts) if audit.findings else nothing
    chosen = sum(one.reason not in NEEDS.values() for one in audit.skipped)
    left_out = f", {chosen:,} left out" if chosen else ""
    crashed = f", {len(audit.crashed):,} failed" if audit.crashed else ""
    ignored = f", {len(audit.ignored):,} ignored" if audit.ignored else ""
    known = f", {len(audit.known):,} known" if audit.known else ""
    checks = words.plural(len(audit.run), "check")
    read = f"; {_read(audit.content)}" if audit.content is not None else ""
    return f"{told}{ignored}{known}; {checks} run{left_out}{crashed}{read}"


def prevented(audit: Audit) -> list[str]:
    """Why checks that were asked for could not be run, and how many there are of each reason."""
    counts: dict[str, int] = {}
    for one in audit.skipped:
        if one.reason not in (*NEEDS.values(), IGNORED, NOT_SELECTED):
            counts[one.reason] = counts.get(one.reason, 0) + 1
    return [
        f"{words.plural(count, 'check')} not run: {plain(why)}" for why, count in counts.items()
    ]


def permissions(audit: Audit) -> list[tuple[str, str, int]]:
    """Code and reason of the findings that were ignored, and how many there are of each."""
    counts: dict[tuple[str, str], int] = {}
    for finding, reason in audit.ignored:
        counts[finding.code, reason] = counts.get((finding.code, reason), 0) + 1
    return [(code, reason, count) for (code, reason), count in sorted(counts.items())]


def _read(content: Content) -> str:
    """`291 tensors read, 14.96 GiB of them before`."""
    told = f"{words.plural(content.tensors_read, 'tensor')} read"
    if content.unread:
        told += f", {len(content.unread):,} could not be"
    if content.bytes_resumed:
        told += f", {words.nbytes(content.bytes_resumed)} of them by an earlier run"
    return f"{told} ({content.sampled})" if content.sampled else told
