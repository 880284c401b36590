"""Findings as Markdown, fit for a pull request; all that comes from the checkpoint is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks import Audit
from ckptscan.report.findings import places, proof
from ckptscan.report.markdown import cell, written

_COLUMNS = ("severity", "code", "name", "message", "where", "hint")


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """A heading, one line that sums up, a table of findings for each audit."""
    for number, audit in enumerate(audits):
        if number:
            yield ""
        yield f"## {cell(audit.checkpoint.origin.title)}"
        yield ""
        yield cell(places.summary(audit))
        rows = [
            [
                cell(finding.severity),
                cell(finding.code),
                cell(finding.name),
                _long(finding.message),
                "<br>".join(map(_long, places.places(finding))),
                _long(finding.hint),
            ]
            for finding in audit.findings
        ]
        if rows:
            yield ""
            yield from written(_COLUMNS, rows)
        for line in proof.lines(audit.proof) if audit.proof is not None else ():
            yield ""
            yield _long(line.strip())
        for line in places.prevented(audit):
            yield ""
            yield _long(line)
        for crash in audit.crashed:
            yield ""
            yield f"- bug: {cell(crash.code)} could not be run: {cell(crash.error)}"


def _long(text: str) -> str:
    """A cell of any length; `cell` cuts what has more than 200 characters."""
    return " ".join(cell(word) for word in places.plain(text).split(" "))
