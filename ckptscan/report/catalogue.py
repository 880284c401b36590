"""The catalogue of checks as text, json, and the page docs/checks.md."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from ckptscan.checks import HEADINGS, Check
from ckptscan.checks.running import FAMILIES
from ckptscan.report.words import wrapped
from ckptscan.version import schema

SCHEMA = schema("checks")
# what markdown would read as its own, outside of `code`
_OWN = re.compile(r"([\\*_<>\[\]|])")


def text_lines(checks: Sequence[Check]) -> Iterator[str]:
    """A line a check: code, severity, name, and what it finds in a sentence."""
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        yield f"{check.code} {check.severity:7} {check.name:{width}} {summary_of(check)}"


def explain_lines(checks: Sequence[Check], width: int | None) -> Iterator[str]:
    """What each check is for, a paragraph a heading."""
    for number, check in enumerate(checks):
        if number:
            yield ""
        yield f"{check.code} {check.name} ({check.severity})"
        yield from wrapped(summary_of(check), width, 0, 0)
        for heading, text in _sentences(check):
            yield ""
            yield from wrapped(f"{heading}: {text}", width)


def json_text(checks: Sequence[Check]) -> str:
    """The checks with all that is known of each."""
    rows = [
        {
            "code": check.code,
            "name": check.name,
            "severity": check.severity,
            "family": FAMILIES[check.code[0]],
            "summary": summary_of(check),
            **{_key(heading): text for heading, text in parts_of(check).items()},
        }
        for check in checks
    ]
    return json.dumps({"schema": SCHEMA, "checks": rows}, indent=2, ensure_ascii=False)


def _key(heading: str) -> str:
    return heading.lower().replace(" ", "_")


def markdown_lines(checks: Sequence[Check]) -> Iterator[str]:
    """A page: contents by family, then what each check is for."""
    families: dict[str, list[Check]] = {}
    for check in checks:
        families.setdefault(check.code[0], []).append(check)
    yield from (
        "# Checks",
        "",
        f"`ckptscan audit` runs {len(checks)} checks. Each has a code and a name that do not",
        "change: `--select` and `--ignore` take either, or the beginning of a code. The severity",
        "is that of the plain case; a finding may be milder.",
        "",
    )
    for letter, own in families.items():
        yield f"**{letter} {FAMILIES[letter]}**: " + ", ".join(
            f"[{check.code}](#{_anchor(check)})" for check in own
        )
        yield ""
    for letter, own in families.items():
        yield from (f"## {letter} {FAMILIES[letter]}", "")
        yield from ("| Code | Name | Severity | |", "|---|---|---|---|")
        for check in own:
            yield (
                f"| [{check.code}](#{_anchor(check)}) | {check.name} | {check.severity} "
                f"| {plain(summary_of(check))} |"
            )
        yield ""
        for check in own:
            yield from _described(check)


def _described(check: Check) -> Iterator[str]:
    yield from (f"### {check.code} {check.name}", "")
    yield from (f"{plain(summary_of(check))} *({check.severity})*", "")
    for heading, text in _sentences(check):
        yield f"- **{heading}**: {plain(text)}"
    yield ""


def _sentences(check: Check) -> Iterator[tuple[str, str]]:
    """The parts with capitals, but for examples: names of files and tensors stay as they are."""
    for heading, text in parts_of(check).items():
        yield heading, text if heading == "Example" else text[:1].upper() + text[1:]


def _anchor(check: Check) -> str:
    """The anchor that a heading of code and name has."""
    return f"{check.code} {check.name}".lower().replace(" ", "-")


def summary_of(check: Check) -> str:
    """The first line of a check's documentation."""
    return check.documentation.partition("\n")[0]


def parts_of(check: Check) -> Mapping[str, str]:
    """What stands under each heading of a check's documentation, in one line each."""
    rest = check.documentation.partition("\n")[2]
    starts = [rest.index(f"\n{heading}:") for heading in HEADINGS] + [len(rest)]
    return {
        heading: " ".join(rest[start:end].partition(":")[2].split())
        for heading, start, end in zip(HEADINGS, starts, starts[1:], strict=False)
    }


def plain(text: str) -> str:
    """Text in which markdown finds nothing of its own but `code`."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _OWN.sub(r"\\\1", text).replace("`", "\\`")
    return "`".join(
        part if number % 2 else _OWN.sub(r"\\\1", part) for number, part in enumerate(parts)
    )
