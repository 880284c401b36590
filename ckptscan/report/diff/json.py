"""A diff as the JSON contract `ckptscan.diff/1`, written field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ckptscan.content.pairs.values import CHANGED, Found
from ckptscan.diff import Change, Diff, Setting
from ckptscan.diff.facts import storage
from ckptscan.diff.groups import fact_words
from ckptscan.diff.values import IDENTICAL
from ckptscan.report.diff import Look, phrases
from ckptscan.report.json import plain_value, source
from ckptscan.report.lines import json_lines
from ckptscan.structure import Structure
from ckptscan.structure.match import Part
from ckptscan.version import schema

SCHEMA = schema("diff")


def report(diff: Diff, look: Look) -> Iterator[str]:
    """The document; sections that are not asked for are empty."""
    return json_lines(document(diff, look))


def document(diff: Diff, look: Look) -> dict[str, Any]:
    """The whole report as plain values; integers stay so."""
    changes = () if look.only == "config" or look.stat else diff.changes
    if look.only == "content":
        changes = tuple(one for one in changes if one.evidence.found)
    is_config = look.shows("config")
    return {
        "schema": SCHEMA,
        "only": look.only,
        "a": _side(diff.a),
        "b": _side(diff.b),
        "identical": diff.is_identical,
        "verdict": phrases.verdict(diff),
        "verdicts": [one._asdict() for one in diff.verdicts],
        "summary": dict(diff.summary),
        "new_auxiliary": diff.new_auxiliary,
        "content": {"bytes_read": diff.bytes_read, "bytes_wanted": diff.bytes_wanted},
        "layers": [
            {
                "a": one.a,
                "b": one.b,
                "a_count": one.a_count,
                "b_count": one.b_count,
                "gone": str(one.gone),
                "new": str(one.new),
                "renumbered": one.is_renumbered,
                "sure": one.is_sure,
                "evidence": "norms" if one.is_read else "headers",
                "copied": str(one.copied),
            }
            for one in diff.layers
        ],
        "changes": (_change(one) for one in changes if one.kind != IDENTICAL),
        "config": [_setting(one) for one in diff.config] if is_config else [],
        "files": [
            {
                "path": one.path,
                "status": one.status,
                "a_size": one.a_size,
                "b_size": one.b_size,
                "weights": one.is_weights,
            }
            for one in (diff.files if is_config else ())
        ],
    }


def content_found(found: Found | None) -> dict[str, Any]:
    """What reading told of the content of a change; nothing where nothing was asked for."""
    if found is None:
        return {}
    figures = found.figures
    told: dict[str, Any] = {
        "proof": found.proof or None,
        "reason": found.reason or None,
        "samples": found.samples,
        "elements": found.elements,
    }
    if found.missed is not None:
        spread, together = found.missed
        told["missed"] = {"share": 0.01, "spread": spread, "together": together}
    if figures is not None and found.fit is not None:
        told["fit"] = {
            "seen": figures.seen,
            "beyond_half_a_step": figures.different,
            "inexact": found.fit.inexact,
            "steps": _number(found.fit.steps),
            "max_abs": _number(figures.largest),
            "relative_l2": _number(figures.relative),
            "scaled": found.fit.is_scaled,
        }
    if figures is not None and found.state == CHANGED:
        told["difference"] = {
            "seen": figures.seen,
            "changed": figures.different,
            "beyond_tolerance": figures.beyond,
            "max_abs": _number(figures.largest),
            "l2": _number(figures.squares**0.5),
            "relative_l2": _number(figures.relative),
            "rank": found.rank,
        }
    return told


def _number(value: float) -> float | None:
    """A number as JSON can hold it, as far as its digits are the same everywhere."""
    return float(f"{value:.6g}") if value - value == 0 else None


def _side(structure: Structure) -> dict[str, Any]:
    return {
        **source(structure.checkpoint),
        "files": len(structure.checkpoint.table.shards),
        "tensors": structure.tensors,
        "bytes": structure.nbytes,
        "parameters": structure.parameters.logical,
        "incomplete": structure.checkpoint.incomplete,
    }


def _change(one: Change) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "a": _names(one.a),
        "b": _names(one.b),
        "indices": _axes(one.a or one.b),
        "tensors": one.tensors,
        "bytes": one.nbytes,
        "evidence": {
            "how": one.evidence.how or None,
            "rule": one.evidence.rule or None,
            "sure": one.evidence.is_sure,
            "content": one.evidence.content or None,
            "facts": [
                {
                    "kind": fact.kind,
                    "a": fact.before or None,
                    "b": fact.after or None,
                    "text": fact_words(fact, one) or None,
                }
                for fact in one.facts
            ],
            **content_found(one.evidence.found),
        },
        "parts": {"a": list(map(_part, one.a)), "b": list(map(_part, one.b))},
    }


def _names(parts: tuple[Part, ...]) -> str | None:
    """The patterns of one side, joined by ` + `; null where it has none."""
    families = [part.unit.family for part in parts]
    names = [f"{one.component}/{one.pattern}" if one.component else one.pattern for one in families]
    return " + ".join(names) if parts else None


def _axes(parts: tuple[Part, ...]) -> list[str]:
    return [str(axis) for axis in parts[0].axes]


def _part(part: Part) -> dict[str, Any]:
    family, region = part.unit.family, part.own
    instances = {"instances": list(map(list, region))} if region.tuples is not None else {}
    return {
        "component": family.component,
        "pattern": family.pattern,
        "indices": [str(axis) for axis in part.axes],
        **instances,
        "dtype": family.dtype.name,
        "shape": list(family.shape),
        "logical_shape": None if part.unit.shape is None else list(part.unit.shape),
        "stored": storage(part.unit),
        "role": part.unit.role.name,
        "tensors": part.tensors,
        "bytes": part.nbytes,
    }


def _setting(one: Setting) -> dict[str, Any]:
    return {
        "key": one.key,
        "a": plain_value(one.a),
        "b": plain_value(one.b),
        "file": one.file,
        "in_a": one.in_a,
        "in_b": one.in_b,
    }
