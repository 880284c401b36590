"""Findings of an audit as blocks of lines, each with the place that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.browse.places import Atlas, Place
from ckptscan.checks import Audit, Finding
from ckptscan.report import words
from ckptscan.report.findings import places

MOST = 500  # findings that are listed


class Told(NamedTuple):
    """One finding: what it says, more of it, and where it leads; None where to no tensor."""

    head: str
    more: tuple[str, ...]
    place: Place | None


def told_findings(audit: Audit, atlas: Atlas) -> Iterator[Told]:
    """The findings, the worst first, then checks that failed; what is left out is counted."""
    for finding in audit.findings[:MOST]:
        yield _told(finding, atlas)
    for crash in audit.crashed:
        yield Told(f"bug: {crash.code} could not be run", (words.label(crash.error),), None)
    if len(audit.findings) > MOST:
        yield Told(f"... and {len(audit.findings) - MOST:,} more", (), None)


def _told(finding: Finding, atlas: Atlas) -> Told:
    unsure = f" ({finding.confidence})" if finding.confidence != "proved" else ""
    head = f"{finding.severity} {finding.code}: {places.plain(finding.message)}{unsure}"
    hint = f"hint: {places.plain(finding.hint)}" if finding.hint else ""
    more = (*places.places(finding), places.evidence(finding), hint)
    found = (atlas.of_where(where) for where in finding.where)
    place = next((one for one in found if one is not None), None)
    return Told(head, tuple(line for line in more if line), place)
