"""Findings as workflow commands that GitHub shows as annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks import Audit, Finding
from ckptscan.report import words
from ckptscan.report.findings import places

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}
# github.com/actions/toolkit, packages/core/src/command.ts, escapeData and escapeProperty
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = _DATA | {":": "%3A", ",": "%2C"}


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """One command a finding, then a line that sums up; each line begins as we mean it to."""
    for audit in audits:
        title = audit.checkpoint.origin.title
        yield from (_command(finding, title) for finding in audit.findings)
        for crash in audit.crashed:
            yield f"::error title={crash.code}::could not be run: {data(places.plain(crash.error))}"
        yield f"ckptscan audit {data(words.label(title))}: {places.summary(audit)}"


def _command(finding: Finding, title: str) -> str:
    properties = {"title": f"{finding.code} {finding.name}"}
    files = [where.file for where in finding.where if where.file]
    if files:
        properties["file"] = words.label(files[0])
    written = ",".join(f"{key}={property_value(text)}" for key, text in properties.items())
    parts = [f"{words.label(title)}: {finding.message}", *places.places(finding)]
    parts += [f"hint: {finding.hint}"] if finding.hint else []
    return (
        f"::{_LEVELS[finding.severity]} {written}::{data(chr(10).join(map(places.plain, parts)))}"
    )


def data(text: str) -> str:
    """A message as a command may carry it; `::` is broken up, that nothing reads as a command."""
    for char, written in _DATA.items():
        text = text.replace(char, written)
    return text.replace("::", ":%3A")


def property_value(text: str) -> str:
    """A property's value: commas and colons would end it."""
    for char, written in _PROPERTY.items():
        text = text.replace(char, written)
    return text
