"""Reports of findings, whole; and what a hostile name can't do in any of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from ckptscan.checks import Ignored
from ckptscan.checks.running import Skip
from ckptscan.checks.values import IGNORED, NEEDS
from ckptscan.commands.audit import FORMATS as OFFERED
from ckptscan.report.findings import FORMATS, places, report
from ckptscan.report.findings.github import data, property_value
from ckptscan.report.findings.json import plain_value
from tests.report.findings.making import EVIL, FINDINGS, audit_with
from tests.report.html.making import readable


def written(format_name: str, *, crashed: bool = False) -> str:
    return "\n".join(report([audit_with(*FINDINGS, crashed=crashed)], format_name, 100)) + "\n"


@pytest.mark.parametrize(
    "format_name", [name for name in FORMATS if name not in ("sarif", "cyclonedx")]
)
def test_a_report_of_findings(format_name: str, golden: Callable[[str], None]) -> None:
    text = written(format_name, crashed=True)
    golden(readable(text) if format_name == "html" else text)


def test_the_command_offers_every_format() -> None:
    assert FORMATS == OFFERED


@pytest.mark.parametrize("format_name", FORMATS)
def test_nothing_active_comes_from_a_checkpoint(format_name: str) -> None:
    text = written(format_name, crashed=True)

    assert text.replace("\n", "").isprintable()
    if format_name in ("markdown", "sarif", "cyclonedx"):
        assert "<script" not in text
    if format_name == "markdown":
        assert "[x](" not in text
    if format_name == "github":
        lines = text.splitlines()
        assert [5, 1] == [
            sum(line.startswith("::") is yes for line in lines) for yes in (True, False)
        ]
        assert all(line.count("::") == 2 for line in lines if line.startswith("::"))


def test_nothing_found_says_so() -> None:
    lines = list(report([audit_with()], "text", None))

    assert "nothing found; 4 checks run, 1 left out" == lines[-1]


def test_what_is_ignored_or_known_is_counted() -> None:
    done = replace(
        audit_with(),
        ignored=(Ignored(FINDINGS[0], "a\x1b reason"),) * 2,
        known=(FINDINGS[2],),
        has_baseline=True,
    )
    lines = list(report([done], "text", None))
    held = json.loads("".join(report([done], "json", None)))

    assert r"  ignored: 2 findings of H008: a\x1b reason" in lines
    assert "nothing new found, 2 ignored, 1 known; 4 checks run, 1 left out" == lines[-1]
    assert [{"code": "H008", "reason": "a\x1b reason", "count": 2}] == held["ignored"]
    assert ["H012"] == [one["code"] for one in held["known"]]


def test_several_audits_stand_one_after_the_other() -> None:
    audits = [audit_with(), audit_with(FINDINGS[0])]
    documents = json.loads("".join(report(audits, "json", None)))

    assert "ckptscan.audit-many/1" == documents["schema"]
    assert [0, 1] == [one["summary"]["error"] for one in documents["audits"]]
    for format_name in ("text", "markdown"):
        assert "" in list(report(audits, format_name, None))
    assert 2 == len(json.loads("".join(report(audits, "sarif", None)))["runs"])


def test_annotations_are_escaped_as_the_runner_reads_them() -> None:
    assert "100%25 of%0Aall :%3A x" == data("100% of\nall :: x")
    assert "a%2Cb%3A%3Ac%0D" == property_value("a,b::c\r")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        (None, "nothing"),
        (12345, "12,345"),
        ("a\x1b", "a\\x1b"),
        ([4, 4], "[4, 4]"),
        (("a", "b", "c", "d", "e", "f", "g"), "a, b, c, d, e and 2 more"),
        ({"tensors": 2}, "tensors 2"),
        (1.5, "1.5"),
    ],
)
def test_evidence_in_words(value: object, expected: str) -> None:
    assert expected == places.value(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("inf"), "inf"),
        (1.5, 1.5),
        ({1: (2, {3})}, {"1": [2, [3]]}),
        ({"b", "a"}, ["a", "b"]),
        (range(2), [0, 1]),
        (1j, "1j"),
    ],
)
def test_evidence_as_json(value: object, expected: object) -> None:
    assert expected == plain_value(value)


def test_the_json_keeps_a_name_as_it_is() -> None:
    found = json.loads(written("json"))["findings"][1]

    assert EVIL == found["where"][0]["tensor"]


@pytest.mark.parametrize(
    ("message", "expected", "seen", "told"),
    [
        pytest.param("says 1,024, the sum is 96", 1024, 96, "", id="both said"),
        pytest.param("says 11,024, the sum is 96", 1024, 96, "expected 1,024, seen 96", id="part"),
        pytest.param("2 of 4 are there", 4, 3, "expected 4, seen 3", id="one said"),
    ],
)
def test_evidence_is_told_where_the_message_has_not_said_it(
    message: str, expected: int, seen: int, told: str
) -> None:
    evidence = {"expected": expected, "seen": seen}

    assert told == places.evidence(replace(FINDINGS[0], message=message, evidence=evidence))


def test_checks_that_could_not_be_run_say_why() -> None:
    absent = "a header pack holds no tensors"
    skipped = (Skip("V001", absent), Skip("V002", absent), Skip("L001", NEEDS["lock"]))
    skipped += (Skip("E001", IGNORED),)
    audit = replace(audit_with(*FINDINGS), skipped=skipped)

    assert [f"2 checks not run: {absent}"] == places.prevented(audit)
    assert f"note: 2 checks not run: {absent}" in list(report([audit], "text", None))
