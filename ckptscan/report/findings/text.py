"""Findings for a terminal: the worst first, each with where it lies and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks import Audit, Crash, Finding
from ckptscan.report import words
from ckptscan.report.faults import PACK_NOTE
from ckptscan.report.findings import places, proof


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """Each audit under the name of its source, with one line that sums it up."""
    for number, audit in enumerate(audits):
        if number:
            yield ""
        yield words.label(audit.checkpoint.origin.title)
        for finding in audit.findings:
            yield from _finding(finding, width)
        yield from map(_crash, audit.crashed)
        for code, reason, count in places.permissions(audit):
            told = f"ignored: {words.plural(count, 'finding')} of {code}: {places.plain(reason)}"
            yield from words.wrapped(told, width, 2, 4)
        if audit.proof is not None:
            for line in proof.lines(audit.proof):
                yield from words.wrapped(line.lstrip(), width, len(line) - len(line.lstrip()), 2)
        if audit.checkpoint.origin.packed:
            yield f"note: {PACK_NOTE}"
        for line in places.prevented(audit):
            yield from words.wrapped(f"note: {line}", width)
        yield places.summary(audit)


def _finding(finding: Finding, width: int | None) -> Iterator[str]:
    unsure = f" ({finding.confidence})" if finding.confidence != "proved" else ""
    head = f"{finding.severity}: {finding.code} {finding.name}: {places.plain(finding.message)}"
    yield from words.wrapped(head + unsure, width, 2, 4)
    for line in places.places(finding):
        yield from words.wrapped(line, width, 6, 2)
    told = places.evidence(finding)
    if told:
        yield from words.wrapped(told, width, 6, 2)
    if finding.hint:
        yield from words.wrapped(f"hint: {places.plain(finding.hint)}", width, 6, 2)


def _crash(crash: Crash) -> str:
    return f"  bug: {crash.code} could not be run: {words.label(crash.error)}"
