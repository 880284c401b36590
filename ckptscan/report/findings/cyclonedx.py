"""An audit as a CycloneDX 1.6 bill of materials: the models, their files, what puts users at risk.

Findings of the family X are vulnerabilities, as a scanner of supply chains means them. Other faults
are no weakness that an attacker uses: they are properties of the model. Nothing in it changes with
time: the serial number is made of the content.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ckptscan.checks import Audit, Finding
from ckptscan.names import natural_key
from ckptscan.report.findings import places
from ckptscan.report.sums import scheme_words
from ckptscan.sources import redacted
from ckptscan.version import VERSION

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_SECURITY = "X"
_RATINGS = {"error": "high", "warning": "medium", "info": "info"}
_REPOSITORIES = ("hub", "hf-cache")  # kinds of sources that are org/name at a commit


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """One bill; the model is its subject, or of several each is a component."""
    models = [_model(audit, number) for number, audit in enumerate(audits)]
    files = [_files(audit, number) for number, audit in enumerate(audits)]
    tool = {"type": "application", "name": "ckptscan", "version": VERSION}
    metadata: dict[str, Any] = {"tools": {"components": [tool]}}
    if len(audits) == 1:
        metadata["component"], components = models[0], files[0]
    else:
        components = [
            model | {"components": held} for model, held in zip(models, files, strict=True)
        ]
    bill = {
        "metadata": metadata,
        "components": components,
        "compositions": [_composition(audit, number) for number, audit in enumerate(audits)],
        "vulnerabilities": [
            one for number, audit in enumerate(audits) for one in _vulnerabilities(audit, number)
        ],
    }
    serial = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill))}"
    head = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial,
    }
    text = json.dumps({**head, "version": 1, **bill}, indent=2)
    # the same JSON, without a letter that begins a tag
    yield text.replace("<", "\\u003c").replace(">", "\\u003e")


def _ref(number: int) -> str:
    return f"model-{number + 1}"


def _model(audit: Audit, number: int) -> dict[str, Any]:
    """The model: who made it, which commit it is, what headers tell of it."""
    checkpoint = audit.checkpoint
    group, _, name = _text(redacted(checkpoint.origin.title)).rpartition("/")
    found: dict[str, Any] = {"type": "machine-learning-model", "bom-ref": _ref(number)}
    if group:
        found["group"] = group
    found["name"] = name or "checkpoint"
    commit = checkpoint.origin.commit
    if commit is not None:
        found["version"] = _text(commit)
    if commit is not None and checkpoint.origin.kind in _REPOSITORIES and group.count("/") == 0:
        title = "/".join(quote(part, safe="-._~") for part in (group, name) if part)
        found["purl"] = f"pkg:huggingface/{title}@{quote(commit.lower(), safe='')}"
    adapter = audit.structure.adapter
    if adapter is not None and adapter.base:
        base = {"type": "machine-learning-model", "name": _text(adapter.base)}
        found["pedigree"] = {"ancestors": [base]}
    architecture = checkpoint.config.architecture
    parameters = {"modelArchitecture": _text(architecture)} if architecture else {}
    found["modelCard"] = {"modelParameters": parameters}
    found["properties"] = list(_properties(audit))
    return found


def _properties(audit: Audit) -> Iterator[dict[str, str]]:
    """Figures of the model, and the faults that are no vulnerabilities."""
    structure = audit.structure
    logical, quantization = structure.parameters.logical, structure.quantization
    told: dict[str, object] = {
        "tensors": structure.tensors,
        "bytes": structure.nbytes,
        "parameters": "unknown" if logical is None else logical,
        "dtypes": ", ".join(use.dtype for use in structure.dtypes),
        "geometry": structure.geometry_hash,
    }
    if quantization is not None:
        told["quantization"] = "; ".join(map(scheme_words, quantization.schemes))
    for name, value in told.items():
        yield {"name": f"ckptscan:{name}", "value": _text(str(value))}
    for finding in audit.findings:
        if not finding.code.startswith(_SECURITY):
            said = f"{finding.severity}: {finding.message}"
            yield {"name": f"ckptscan:finding:{finding.code}", "value": _text(said)}


def _files(audit: Audit, number: int) -> list[dict[str, Any]]:
    """Every file of the source, with its sha256 where that is known for free."""
    found = []
    entries = sorted(audit.checkpoint.files, key=lambda entry: natural_key(entry.path))
    for place, entry in enumerate(entries, 1):
        file: dict[str, Any] = {
            "type": "file",
            "bom-ref": f"{_ref(number)}-file-{place}",
            "name": _text(entry.path),
        }
        if entry.digest is not None:
            file["hashes"] = [{"alg": "SHA-256", "content": entry.digest}]
        file["properties"] = [{"name": "ckptscan:bytes", "value": str(entry.size)}]
        found.append(file)
    return found


def _composition(audit: Audit, number: int) -> dict[str, Any]:
    """Whether a file is known to be absent; hidden ones and deep folders are never listed."""
    aggregate = "incomplete" if audit.checkpoint.incomplete else "unknown"
    return {"aggregate": aggregate, "assemblies": [_ref(number)]}


def _vulnerabilities(audit: Audit, number: int) -> Iterator[dict[str, Any]]:
    """The findings of security; those that the project allows say why it does."""
    told = [(finding, None) for finding in (*audit.findings, *audit.known)]
    for finding, reason in (*told, *audit.ignored):
        if finding.code.startswith(_SECURITY):
            yield _vulnerability(finding, number, reason)


def _vulnerability(finding: Finding, number: int, reason: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": finding.code,
        "source": {"name": "ckptscan"},
        "ratings": [
            {
                "source": {"name": "ckptscan"},
                "severity": _RATINGS[finding.severity],
                "method": "other",
            }
        ],
        "description": _text(finding.message),
        "detail": _text("; ".join(places.places(finding))),
    }
    if finding.hint:
        found["recommendation"] = _text(finding.hint)
    if reason is not None:
        found["analysis"] = {"response": ["will_not_fix"], "detail": _text(reason)}
    return found | {"affects": [{"ref": _ref(number)}]}


def _text(text: str) -> str:
    """Text on one line that nothing obeys."""
    return places.plain(text)
