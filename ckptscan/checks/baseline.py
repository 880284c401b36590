"""Baselines: the findings that were there already, so that only new ones count.

A finding is known if the baseline has one of the same code and essence, as bad or worse, and each
of its places is one that the baseline names: a fault that has spread to another layer is new. What
a message says and how many bytes it counts does not matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeGuard

from ckptscan.checks.globs import plain_source
from ckptscan.checks.running import Audit
from ckptscan.checks.values import SEVERITIES, Finding, Where
from ckptscan.errors import UsageError
from ckptscan.names import IndexSet, escape, is_index
from ckptscan.sources import redacted
from ckptscan.version import schema

SCHEMA = schema("baseline")
MAX_BASELINE = 64 << 20  # bytes
# evidence that tells one fault of a check from another at the same place
_ESSENTIAL = ("kind", "key", "rule", "drift", "expected", "seen")
# F8_E4M3, embed_tokens.weight: a name; what has a space in it is prose, a bare number a count
_NAME = re.compile(r"(?=[\w.:/-]*[A-Za-z_])[\w.:/-]{1,200}")
_LARGEST = 1 << 64


class Place(NamedTuple):
    """A place without what may change: a pattern with its indices, a file, how many at most."""

    file: str | None
    pattern: str | None
    indices: tuple[str, ...]
    tensors: int


class Entry(NamedTuple):
    """A known finding; `essence` is its code and what of the evidence is essential, as json."""

    code: str
    severity: str
    essence: str
    places: tuple[Place, ...]


Baseline = Mapping[str, tuple[Entry, ...]]  # by source


def entry_of(finding: Finding) -> Entry:
    """A finding as a baseline holds it."""
    essence = {
        key: held
        for key in _ESSENTIAL
        if (held := _essence(key, finding.evidence.get(key))) is not None
    }
    places = sorted(map(_place, finding.where or (Where(),)), key=_order)
    text = json.dumps(essence, sort_keys=True)
    return Entry(finding.code, finding.severity, text, tuple(places))


def _order(place: Place) -> tuple[str, str, tuple[str, ...], int]:
    return place.file or "", place.pattern or "", place.indices, place.tensors


def _essence(key: str, value: object) -> object:
    """Names and shapes; no prose, and no count that may grow."""
    if isinstance(value, str):
        return value if key == "rule" or _NAME.fullmatch(value) else None
    if isinstance(value, list | tuple) and value:
        if all(type(one) is int for one in value):
            return list(value)
        held = [_essence(key, one) for one in value]
        return sorted(map(str, held)) if None not in held else None
    return None


def _place(where: Where) -> Place:
    """A lone tensor as its pattern too, so that it lies within what it was part of."""
    if where.pattern is not None or where.tensor is None:
        return Place(where.file, where.pattern, where.indices, where.count)
    pieces, indices = [], []
    for segment in where.tensor.split("."):
        pieces.append("*" if is_index(segment) else escape(segment))
        indices += [str(int(segment))] if is_index(segment) else []
    return Place(where.file, ".".join(pieces), tuple(indices), where.count)


def names_of(audit: Audit) -> tuple[str, str]:
    """What a source is called: by its title, or where that is not enough as it was named."""
    origin = audit.checkpoint.origin
    return origin.title, plain_source(redacted(origin.spec))


def apply_baseline(audit: Audit, baseline: Baseline) -> tuple[Audit, int]:
    """The audit with its known findings apart, and how many entries nothing was found for."""
    own = [entry for name in dict.fromkeys(names_of(audit)) for entry in baseline.get(name, ())]
    by_essence: dict[tuple[str, str], list[Entry]] = {}
    for entry in own:
        by_essence.setdefault((entry.code, entry.essence), []).append(entry)
    new: list[Finding] = []
    known: list[Finding] = []
    seen: set[tuple[str, str]] = set()
    for finding in audit.findings:
        found = entry_of(finding)
        alike = by_essence.get((found.code, found.essence), [])
        seen.add((found.code, found.essence))
        (known if _is_known(found, alike) else new).append(finding)
    allowed = [entry_of(one.finding) for one in audit.ignored]
    seen.update((one.code, one.essence) for one in allowed)
    stale = [one for one in own if (one.code, one.essence) not in seen and one.code in audit.run]
    done = replace(audit, findings=tuple(new), known=tuple(known), has_baseline=True)
    return done, len(stale)


def _is_known(found: Entry, alike: Sequence[Entry]) -> bool:
    rank = SEVERITIES.index
    as_bad = [one for one in alike if rank(one.severity) <= rank(found.severity)]
    held: dict[tuple[str | None, str | None], list[Place]] = {}
    for entry in as_bad:
        for place in entry.places:
            held.setdefault((place.file, place.pattern), []).append(place)
    return bool(as_bad) and all(
        _is_held(place, held.get((place.file, place.pattern), [])) for place in found.places
    )


def _is_held(place: Place, held: Sequence[Place]) -> bool:
    """Whether a place lies within one of these, or within all together where it has one axis."""
    if any(_is_part(place, one) for one in held):
        return True
    if len(place.indices) != 1 or not all(len(one.indices) == 1 for one in held):
        return False
    joined = ",".join(one.indices[0] for one in held if one.indices[0])
    whole = Place(place.file, place.pattern, (joined,), sum(one.tensors for one in held))
    return _is_part(place, whole)


def _is_part(place: Place, whole: Place) -> bool:
    if place.tensors > whole.tensors or len(place.indices) != len(whole.indices):
        return False
    return all(map(_is_subset, place.indices, whole.indices))


def _is_subset(inner: str, outer: str) -> bool:
    """Whether the ranges of one set of indices lie within those of another; by ranges alone."""
    if inner == outer:
        return True
    try:
        few = IndexSet.parse(inner)
        many = _merged(IndexSet.parse(outer).ranges)
    except ValueError:
        return False
    return all(
        any(low <= first <= last <= high for low, high in many) for first, last in few.ranges
    )


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def written(audits: Sequence[Audit]) -> str:
    """The baseline of these audits as json, known findings included; sorted, without a time."""
    titles = [names_of(audit)[0] for audit in audits]
    found: dict[str, set[Entry]] = {}
    for audit in audits:
        title, spec = names_of(audit)
        name = title if titles.count(title) == 1 else spec
        found.setdefault(name, set()).update(map(entry_of, (*audit.findings, *audit.known)))
    document = {
        "schema": SCHEMA,
        "sources": [
            {"source": name, "findings": [_entry(one) for one in sorted(found[name], key=str)]}
            for name in sorted(found)
        ],
    }
    return json.dumps(document, indent=1) + "\n"


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "code": entry.code,
        "severity": entry.severity,
        "essence": json.loads(entry.essence),
        "where": [place._asdict() for place in entry.places],
    }


def read_baseline(data: bytes, name: str) -> Baseline:
    """The baseline in a file of this name; raises UsageError with the reason."""
    hint = "write it again with --write-baseline"
    try:
        document = json.loads(data.decode("utf-8"))
    except (RecursionError, ValueError) as error:
        raise UsageError(f"{name}: no baseline: not JSON", hint) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise UsageError(f"{name}: no baseline: its schema is not {SCHEMA}", hint)
    sources = document.get("sources")
    if not isinstance(sources, list) or not all(map(_is_source, sources)):
        raise UsageError(f"{name}: no baseline: a field is not of its type", hint)
    found: dict[str, tuple[Entry, ...]] = {}
    for one in sources:
        found[one["source"]] = found.get(one["source"], ()) + tuple(map(_read, one["findings"]))
    return found


def _read(value: Mapping[str, object]) -> Entry:
    places = value["where"]
    essence = json.dumps(value["essence"], sort_keys=True)
    held = tuple(_read_place(one) for one in places) if isinstance(places, list) else ()
    return Entry(str(value["code"]), str(value["severity"]), essence, held)


def _read_place(value: Mapping[str, object]) -> Place:
    file, pattern, tensors, indices = (
        value[key] for key in ("file", "pattern", "tensors", "indices")
    )
    return Place(
        file if isinstance(file, str) else None,
        pattern if isinstance(pattern, str) else None,
        tuple(map(str, indices)) if isinstance(indices, list) else (),
        tensors if isinstance(tensors, int) else 1,
    )


def _is_source(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("source"), str)
        and isinstance(value.get("findings"), list)
        and all(map(_is_entry, value["findings"]))
    )


def _is_entry(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("code"), str)
        and value.get("severity") in SEVERITIES
        and isinstance(value.get("essence"), dict)
        and all(map(_is_flat, value["essence"].values()))
        and isinstance(value.get("where"), list)
        and all(map(_is_place, value["where"]))
    )


def _is_flat(value: object) -> bool:
    is_list = isinstance(value, list) and all(isinstance(one, str | int) for one in value)
    return is_list or isinstance(value, str)


def _is_place(value: object) -> TypeGuard[Mapping[str, object]]:
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str | None) for key in ("file", "pattern"))
        and {"file", "pattern", "indices", "tensors"} <= value.keys()
        and isinstance(value["indices"], list)
        and all(isinstance(axis, str) for axis in value["indices"])
        and type(value["tensors"]) is int
        and 0 <= value["tensors"] < _LARGEST
    )
