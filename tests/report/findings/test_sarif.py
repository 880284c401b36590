"""SARIF 2.1.0: the parts of the schema that our documents touch, checked by hand.

OASIS' schema is in no package that the tests could take; what it says of these objects is below:
which keys they may have (it allows no others) and which they must have.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from ckptscan.checkpoint import load, open_checkpoint
from ckptscan.checks import Audit, Ignored, audit
from ckptscan.report.findings import report
from tests.conftest import ATTACKS, pack
from tests.report.findings.making import FINDINGS, audit_with

# sarif-schema-2.1.0.json: object -> required keys, then those of the others that we write
OBJECTS = {
    "log": ("version runs", "$schema"),
    "run": ("tool", "invocations results columnKind"),
    "tool": ("driver", ""),
    "toolComponent": ("name", "version rules"),
    "reportingDescriptor": (
        "id",
        "name shortDescription fullDescription help defaultConfiguration",
    ),
    "multiformatMessageString": ("text", ""),
    "reportingConfiguration": ("", "level"),
    "invocation": ("executionSuccessful", "toolExecutionNotifications"),
    "notification": ("message", "level"),
    "result": ("message", "ruleId ruleIndex level locations properties baselineState suppressions"),
    "suppression": ("kind", "justification"),
    "message": ("", "text"),
    "location": ("", "physicalLocation logicalLocations message"),
    "physicalLocation": ("", "artifactLocation region"),
    "artifactLocation": ("", "uri"),
    "region": ("", "byteOffset byteLength"),
    "logicalLocation": ("", "fullyQualifiedName kind"),
}
# key -> the object that it holds, in a list or alone
HOLDS = {
    "runs": "run",
    "tool": "tool",
    "driver": "toolComponent",
    "rules": "reportingDescriptor",
    "shortDescription": "multiformatMessageString",
    "fullDescription": "multiformatMessageString",
    "help": "multiformatMessageString",
    "defaultConfiguration": "reportingConfiguration",
    "invocations": "invocation",
    "toolExecutionNotifications": "notification",
    "results": "result",
    "suppressions": "suppression",
    "message": "message",
    "locations": "location",
    "physicalLocation": "physicalLocation",
    "artifactLocation": "artifactLocation",
    "region": "region",
    "logicalLocations": "logicalLocation",
}
STATES = ("new", "unchanged", "updated", "absent")
LEVELS = ("none", "note", "warning", "error")
# a relative reference of RFC 3986, without a scheme and an authority
URI = re.compile(r"(?:[\w.~-]|%[0-9A-F]{2})+(?:/(?:[\w.~-]|%[0-9A-F]{2})+)*", re.ASCII)


def validate(kind: str, held: dict[str, Any]) -> None:
    required, others = (words.split() for words in OBJECTS[kind])

    assert set(required) <= held.keys(), kind
    assert held.keys() <= {*required, *others}, kind
    for key, value in held.items():
        if key in HOLDS:
            for one in value if isinstance(value, list) else [value]:
                validate(HOLDS[key], one)
        elif key == "level":
            assert value in LEVELS
        elif key == "baselineState":
            assert value in STATES
        elif kind == "suppression" and key == "kind":
            assert value in ("inSource", "external")
        elif key in ("byteOffset", "byteLength", "ruleIndex"):
            assert isinstance(value, int)
            assert value >= 0
        elif key == "uri":
            assert URI.fullmatch(value), value
        elif key not in ("properties", "executionSuccessful"):
            assert isinstance(value, str)
            assert value


def document(done: Audit) -> dict[str, Any]:
    loaded = json.loads("".join(report([done], "sarif", None)))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize(
    "done",
    [
        audit_with(*FINDINGS, crashed=True),
        audit_with(),
        audit(open_checkpoint(ATTACKS / "hostile-names.safetensors")),
        audit(load(pack("deepseek-ai--DeepSeek-V3"))),
    ],
    ids=["every-kind", "nothing", "hostile", "real"],
)
def test_a_document_is_as_the_schema_wants_it(done: Audit) -> None:
    found = document(done)
    validate("log", found)
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]

    assert "2.1.0" == found["version"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert len(done.findings) == len(run["results"])
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["locations"]
    assert run["invocations"][0]["executionSuccessful"] is not bool(done.crashed)


def test_what_is_ignored_or_known_says_so() -> None:
    done = replace(
        audit_with(FINDINGS[0]),
        ignored=(Ignored(FINDINGS[1], "[x](y) is read {0}"),),
        known=(FINDINGS[2],),
        has_baseline=True,
    )
    found = document(done)
    validate("log", found)
    new, known, ignored = found["runs"][0]["results"]

    assert ("new", "unchanged") == (new["baselineState"], known["baselineState"])
    assert "[x] (y) is read {{0}}" == ignored["suppressions"][0]["justification"]
    assert "suppressions" not in new
    assert "baselineState" not in ignored


def test_help_is_the_documentation_of_the_check() -> None:
    (run,) = document(audit_with(FINDINGS[0]))["runs"]
    (rule,) = [rule for rule in run["tool"]["driver"]["rules"] if rule["id"] == "H008"]

    assert "What to do:" in rule["help"]["text"]
    assert "OffsetGap" == rule["name"]


def test_a_byte_is_a_region() -> None:
    (run,) = document(audit_with(FINDINGS[0]))["runs"]

    assert {"byteOffset": 61, "byteLength": 0} == run["results"][0]["locations"][0][
        "physicalLocation"
    ]["region"]
