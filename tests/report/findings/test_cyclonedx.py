"""Bills of materials: true to CycloneDX 1.6, equal for equal content, honest about findings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from ckptscan.checkpoint import load
from ckptscan.checks import Audit, Ignored, audit
from ckptscan.report.findings import report
from ckptscan.sources.base import FileEntry, Origin
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import describe
from tests.conftest import file_of, packed
from tests.report.findings.making import EVIL, FINDINGS, audit_with

COMMIT = "453ed1575b739b5b03ce3758b23befdb0967f40e"
DIGEST = "ab" * 32


def text_of(*audits: Audit) -> str:
    return "\n".join(report(audits, "cyclonedx", None))


def bill(*audits: Audit) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(*audits))
    return found


def of_repository(title: str = "Qwen/Qwen2-7B") -> Audit:
    """The audit of a repository whose file has a digest."""
    data = file_of({"a": ("BF16", [4])})
    entry = FileEntry("model.safetensors", len(data), DIGEST)
    origin = Origin(title, "hub", title, "main", COMMIT)
    source = MemorySource({"model.safetensors": data}, [entry], origin=origin)
    return audit(describe(load(source)))


@pytest.mark.parametrize(
    "audits",
    [
        (audit_with(),),
        (audit_with(*FINDINGS, crashed=True),),
        (audit_with(*FINDINGS), of_repository()),
        (of_repository(f"org/{EVIL}"),),
        (replace(audit_with(), ignored=(Ignored(FINDINGS[1], EVIL),), known=FINDINGS[:2]),),
        (audit(packed("hugging-quants--Meta-Llama-3.1-8B-Instruct-GPTQ-INT4")),),
    ],
    ids=["nothing", "findings", "several", "hostile", "allowed", "real"],
)
def test_a_bill_is_true_to_the_standard(audits: Sequence[Audit]) -> None:
    schema = pytest.importorskip("cyclonedx.schema", reason="cyclonedx-python-lib is missing")
    validation = pytest.importorskip("cyclonedx.validation.json")
    validator = validation.JsonStrictValidator(schema.SchemaVersion.V1_6)

    assert None is validator.validate_str(text_of(*audits))


def test_equal_content_is_an_equal_bill() -> None:
    assert text_of(of_repository()) == text_of(of_repository())
    assert bill(audit_with())["serialNumber"] != bill(of_repository())["serialNumber"]
    assert "timestamp" not in text_of(of_repository())


def test_a_repository_is_named_by_its_commit_and_files_by_their_digest() -> None:
    found = bill(of_repository())
    model = found["metadata"]["component"]

    assert ("machine-learning-model", "Qwen", "Qwen2-7B", COMMIT) == tuple(
        model[key] for key in ("type", "group", "name", "version")
    )
    assert f"pkg:huggingface/Qwen/Qwen2-7B@{COMMIT}" == model["purl"]
    assert [{"alg": "SHA-256", "content": DIGEST}] == found["components"][0]["hashes"]


def test_only_findings_of_security_are_vulnerabilities() -> None:
    found = bill(audit_with(*FINDINGS))
    properties = {one["name"] for one in found["metadata"]["component"]["properties"]}

    assert ["X005"] == [one["id"] for one in found["vulnerabilities"]]
    assert {f"ckptscan:finding:{code}" for code in ("H008", "H012", "E005")} <= properties
    assert "ckptscan:finding:X005" not in properties


def test_what_the_project_allows_says_why() -> None:
    held = replace(audit_with(), ignored=(Ignored(FINDINGS[1], "we wrote it"),))
    (found,) = bill(held)["vulnerabilities"]

    assert {"response": ["will_not_fix"], "detail": "we wrote it"} == found["analysis"]


def test_several_models_are_components_that_hold_their_files() -> None:
    found = bill(audit_with(), of_repository())
    references = [one["bom-ref"] for one in found["components"]]

    assert ["model-1", "model-2"] == references
    assert ["model.safetensors"] == [one["name"] for one in found["components"][1]["components"]]


def test_an_adapter_names_its_base_as_an_ancestor() -> None:
    model = bill(audit(packed("example--Llama-3.1-8B-lora-r16")))["metadata"]["component"]

    assert "meta-llama" in model["pedigree"]["ancestors"][0]["name"]
