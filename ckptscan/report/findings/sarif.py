"""Findings as SARIF 2.1.0, fit for code scanning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ckptscan.checks import Audit, Check, Finding, Where, all_checks
from ckptscan.report import words
from ckptscan.report.findings import places
from ckptscan.report.json import plain_value
from ckptscan.sources import redacted
from ckptscan.version import VERSION

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
MOST_LOCATIONS = 100  # of a result; code scanning takes no more


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """One run an audit, each of a category of its own: code scanning takes no two of one."""
    titles = [_uri(None, audit) for audit in audits]
    runs = [
        _run(audit)
        | {"automationDetails": {"id": f"ckptscan/{title}{_again(titles[:number], title)}/"}}
        for number, (audit, title) in enumerate(zip(audits, titles, strict=True))
    ]
    text = json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": runs}, indent=2)
    # the same JSON, without a letter that begins a tag
    yield text.replace("<", "\\u003c").replace(">", "\\u003e")


def _again(before: Sequence[str], title: str) -> str:
    """`-2` for the second audit of one title."""
    times = before.count(title)
    return f"-{times + 1}" if times else ""


def _run(audit: Audit) -> dict[str, Any]:
    excused = (*audit.known, *(one.finding for one in audit.ignored))
    codes = {*audit.run, *(finding.code for finding in (*audit.findings, *excused))}
    checks = [check for check in all_checks() if check.code in codes]
    numbers = {check.code: number for number, check in enumerate(checks)}
    return {
        "tool": {
            "driver": {"name": "ckptscan", "version": VERSION, "rules": list(map(_rule, checks))}
        },
        "invocations": [
            {
                "executionSuccessful": not audit.crashed,
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": places.plain(f"{crash.code}: {crash.error}")},
                    }
                    for crash in audit.crashed
                ],
            }
        ],
        "results": list(_results(audit, numbers)),
        "columnKind": "unicodeCodePoints",
    }


def _rule(check: Check) -> dict[str, Any]:
    first, _, rest = check.documentation.partition("\n")
    return {
        "id": check.code,
        "name": "".join(word.capitalize() for word in check.name.split("-")),
        "shortDescription": {"text": first},
        "fullDescription": {"text": first},
        "help": {"text": rest.strip() or first},
        "defaultConfiguration": {"level": _LEVELS[check.severity]},
    }


def _results(audit: Audit, numbers: dict[str, int]) -> Iterator[dict[str, Any]]:
    """New findings, those of the baseline, and those that the settings allow, with the reason."""
    for finding in audit.findings:
        state = {"baselineState": "new"} if audit.has_baseline else {}
        yield _result(finding, numbers, audit) | state
    for finding in audit.known:
        yield _result(finding, numbers, audit) | {"baselineState": "unchanged"}
    for finding, reason in audit.ignored:
        why = {"kind": "external", "justification": _text(places.plain(reason))}
        yield _result(finding, numbers, audit) | {"suppressions": [why]}


def _result(finding: Finding, numbers: dict[str, int], audit: Audit) -> dict[str, Any]:
    text = places.plain(finding.message)
    text += f" ({places.plain(finding.hint)})" if finding.hint else ""
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": _text(text)},
        "locations": _locations(finding, audit),
        "properties": {
            "confidence": finding.confidence,
            "evidence": {key: plain_value(value) for key, value in finding.evidence.items()},
        },
    }
    if finding.code in numbers:
        result["ruleIndex"] = numbers[finding.code]
    return result


def _text(text: str) -> str:
    """Text of a message: no placeholders, and no link of the checkpoint's making."""
    text = text.replace("{", "{{").replace("}", "}}")
    return text.replace("](", "] (")


def _locations(finding: Finding, audit: Audit) -> list[dict[str, Any]]:
    found = [_location(where, audit) for where in finding.where[:MOST_LOCATIONS]]
    return found or [_location(Where(), audit)]


def _location(where: Where, audit: Audit) -> dict[str, Any]:
    """A place as a file (with a byte, where one is known) and a tensor as a logical location."""
    physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(where.file, audit)}}
    if where.byte is not None:
        physical["region"] = {"byteOffset": where.byte, "byteLength": 0}
    location: dict[str, Any] = {"physicalLocation": physical}
    name = where.pattern if where.pattern is not None else where.tensor
    if name is not None:
        location["logicalLocations"] = [{"fullyQualifiedName": words.label(name), "kind": "member"}]
        location["message"] = {"text": _text(places.place(where))}
    return location


def _uri(file: str | None, audit: Audit) -> str:
    """A relative reference, percent-encoded: no scheme, no host, nothing above the folder."""
    title = audit.checkpoint.origin.title if file is None else file
    written = quote(places.plain(redacted(title)), safe="/-._~")
    written = written.lstrip("/").replace("//", "/%2F").replace("../", "%2E%2E/")
    return written or "checkpoint"
