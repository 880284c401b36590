"""Findings as one page: the worst first, each with where it lies and what to do; a filter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checks import Audit, Finding, Skip
from ckptscan.report import words
from ckptscan.report.faults import PACK_NOTE
from ckptscan.report.findings import places, proof
from ckptscan.report.html.controls import filtered
from ckptscan.report.html.markup import Child, Markup, element, folded, joined, listed, name
from ckptscan.report.html.page import Page, Section, written
from ckptscan.report.html.tables import columns, table, tiles

_MOST_PLACES = 100  # of one finding
_FIRST_PLACES = 3
_SEVERITIES = ("error", "warning", "info")
_NAMES = {"error": "Errors", "warning": "Warnings", "info": "Remarks"}


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """The page of one audit, or of several one after the other."""
    alone = len(audits) == 1
    title = words.label(audits[0].checkpoint.origin.title)
    sections = [
        section
        for number, audit in enumerate(audits)
        for section in _sections(audit, "" if alone else f"-{number + 1}")
    ]
    title = title if alone else f"{title} and {len(audits) - 1:,} more"
    return written(Page(title, "What is wrong with it", _tiles(audits), sections))


def _tiles(audits: Sequence[Audit]) -> Markup:
    counts: list[tuple[str, Child, Child]] = [
        (_NAMES[severity], f"{sum(audit.count(severity) for audit in audits):,}", None)
        for severity in _SEVERITIES
    ]
    run = sum(len(audit.run) for audit in audits)
    left_out = sum(len(audit.skipped) for audit in audits)
    return tiles([*counts, ("Checks run", f"{run:,}", f"{left_out:,} not run")])


def _sections(audit: Audit, suffix: str) -> Iterator[Section]:
    """What the page says of one audit; of several each begins with the name of its source."""
    title = f"{words.label(audit.checkpoint.origin.title)}: " if suffix else ""
    yield Section(f"findings{suffix}", f"{title}Findings", _findings(audit, suffix))
    yield Section(
        f"proof{suffix}", f"{title}What config, index, headers and files say", _proof(audit)
    )
    yield Section(f"checks{suffix}", f"{title}Checks", _checks(audit))


def _findings(audit: Audit, suffix: str) -> Markup:
    """The findings below a filter, then what could not be told."""
    notes = [*places.prevented(audit)]
    notes += [PACK_NOTE] if audit.checkpoint.origin.packed else []
    held = [_finding(finding) for finding in audit.findings]
    kinds = [severity for severity in _SEVERITIES if audit.count(severity)]
    shown = filtered(f"list{suffix}", held, kinds, "code, name, tensor, file ...") if held else None
    crashes = [f"{one.code} could not be run: {words.label(one.error)}" for one in audit.crashed]
    return joined(
        [element("p", places.summary(audit)), shown, listed(crashes), listed(notes, "remarks")]
    )


def _finding(finding: Finding) -> Markup:
    unsure = f" ({finding.confidence})" if finding.confidence != "proved" else ""
    heading = element(
        "h3",
        element("span", finding.severity, class_="severity"),
        f"{finding.code} {finding.name}{unsure}",
    )
    told = places.evidence(finding)
    return element(
        "article",
        heading,
        element("p", places.plain(finding.message)),
        _places(finding),
        element("p", told, class_="quiet") if told else None,
        element("p", f"What to do: {places.plain(finding.hint)}") if finding.hint else None,
        class_=f"finding {finding.severity}",
        data_kind=finding.severity,
    )


def _places(finding: Finding) -> Markup | None:
    """The first places; more of them when asked for."""
    told = [name(places.place(where)) for where in finding.where[:_MOST_PLACES]]
    more = len(finding.where) - _MOST_PLACES
    rest = [f"and {words.plural(more, 'more place')}; --format json has all"] if more > 0 else []
    first, others = told[:_FIRST_PLACES], [*told[_FIRST_PLACES:], *rest]
    count = len(finding.where) - _FIRST_PLACES
    hidden = folded(words.plural(count, "more place"), listed(others)) if others else None
    return joined([listed(first), hidden])


def _proof(audit: Audit) -> Markup | None:
    if audit.proof is None:
        return None
    verdict, *amiss = proof.lines(audit.proof)
    return joined([element("p", verdict.removeprefix("proof: ")), listed(map(str.strip, amiss))])


def _checks(audit: Audit) -> Markup:
    """Which checks were run, and why others were not."""
    ignored = [
        f"{words.plural(count, 'finding')} of {code}: {places.plain(reason)}"
        for code, reason, count in places.permissions(audit)
    ]
    known = [f"{one.code} {one.name}: {places.plain(one.message)}" for one in audit.known]
    return joined(
        [
            joined([element("h3", "Ignored"), listed(ignored)]) if ignored else None,
            joined([element("h3", "Known from the baseline"), listed(known)]) if known else None,
            folded(
                words.plural(len(audit.run), "check") + " run", element("p", " ".join(audit.run))
            ),
            _skipped(audit.skipped) if audit.skipped else None,
        ]
    )


def _skipped(skipped: Sequence[Skip]) -> Markup:
    by_reason: dict[str, list[str]] = {}
    for one in skipped:
        by_reason.setdefault(one.reason, []).append(one.code)
    rows = [(places.plain(reason), " ".join(codes)) for reason, codes in by_reason.items()]
    caption = f"{words.plural(len(skipped), 'check')} not run"
    return folded(caption, table(caption, columns("reason", "checks"), rows))
