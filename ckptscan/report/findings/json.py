"""An audit as the JSON contract `ckptscan.audit/1`, written field by field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ckptscan.checks import Amiss, Audit, Finding, Proof, Where
from ckptscan.content.values import Content
from ckptscan.report.findings.places import permissions
from ckptscan.report.json import plain_value, source
from ckptscan.report.lines import json_lines
from ckptscan.version import schema

SCHEMA = schema("audit")
SCHEMA_MANY = schema("audit-many")


def report(audits: Sequence[Audit], width: int | None) -> Iterator[str]:
    """The document of one audit, or one that holds those of several."""
    documents = list(map(document, audits))
    whole = documents[0] if len(audits) == 1 else {"schema": SCHEMA_MANY, "audits": documents}
    return json_lines(whole)


def document(audit: Audit) -> dict[str, Any]:
    """The whole report as plain values; integers stay so."""
    return {
        "schema": SCHEMA,
        "source": source(audit.checkpoint),
        "incomplete": audit.checkpoint.incomplete,
        "findings": list(map(finding_document, audit.findings)),
        **({} if audit.content is None else {"content": _content(audit.content)}),
        "summary": {severity: audit.count(severity) for severity in ("error", "warning", "info")},
        "ignored": [
            {"code": code, "reason": reason, "count": count}
            for code, reason, count in permissions(audit)
        ],
        "known": list(map(finding_document, audit.known)) if audit.has_baseline else None,
        "checks": {
            "run": list(audit.run),
            "skipped": [{"code": one.code, "reason": one.reason} for one in audit.skipped],
            "crashed": [{"code": one.code, "error": one.error} for one in audit.crashed],
        },
        "proof": None if audit.proof is None else proof_document(audit.proof),
    }


def _content(content: Content) -> dict[str, Any]:
    """How much of the tensors was read."""
    return {
        "bytes_read": content.bytes_read,
        "bytes_resumed": content.bytes_resumed,
        "tensors_read": content.tensors_read,
        "tensors_unread": len(content.unread),
        "sampled": content.sampled,
        "limited": content.limited,
        "resumed": content.bytes_resumed > 0,
    }


def proof_document(proof: Proof) -> dict[str, Any]:
    """The four-way proof as plain values; `index` is null where there is none."""
    return {
        "verdict": proof.verdict,
        "reason": proof.reason,
        "config": {"promised": proof.promised, "kept": proof.kept},
        "index": proof.index,
        "headers": proof.headers,
        "files": {"lacking_bytes": proof.lacking_bytes},
        "shaped": {"tensors": proof.shaped, "bytes": proof.shaped_bytes, "of_bytes": proof.nbytes},
        "missing": list(map(_amiss, proof.missing)),
        "unexpected": list(map(_amiss, proof.unexpected)),
        "mis_shaped": list(map(_amiss, proof.mis_shaped)),
        "mis_sharded": list(map(_amiss, proof.mis_sharded)),
    }


def _amiss(one: Amiss) -> dict[str, Any]:
    return {"where": _where(one.where), "why": one.why}


def finding_document(finding: Finding) -> dict[str, Any]:
    """One finding as plain values."""
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "message": finding.message,
        "where": list(map(_where, finding.where)),
        "evidence": {key: plain_value(value) for key, value in finding.evidence.items()},
        "hint": finding.hint,
    }


def _where(where: Where) -> dict[str, Any]:
    return {
        "file": where.file,
        "tensor": where.tensor,
        "pattern": where.pattern,
        "indices": list(where.indices),
        "count": where.count,
        "byte": where.byte,
    }
