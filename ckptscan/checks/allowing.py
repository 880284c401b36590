"""Findings that the project has read and allows, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from ckptscan.checks.globs import is_within, matcher, source_matches
from ckptscan.checks.running import Audit, Ignored, codes_of
from ckptscan.checks.values import Finding, Where
from ckptscan.errors import UsageError

_FORM = "CHECK [path GLOB] [tensor GLOB] because REASON"


class Allow(NamedTuple):
    """Findings that are allowed: of these checks, in this path, of these tensors; "" means any.

    `path` is a glob of the source as it was named, or of a file in it. `word` is how the checks
    were written.
    """

    word: str
    codes: frozenset[str]
    reason: str
    path: str = ""
    tensor: str = ""

    def __str__(self) -> str:
        path = f" path {self.path}" if self.path else ""
        tensor = f" tensor {self.tensor}" if self.tensor else ""
        return f"{self.word}{path}{tensor}"


def allow_of(word: str, reason: str, path: str = "", tensor: str = "") -> Allow:
    """The permission for a code, a name or the beginning of a code; raises UsageError."""
    if not reason.strip():
        raise UsageError(f"allow {word}: without a reason", "say why, for whoever reads it next")
    return Allow(word, codes_of([word]), reason.strip(), path, tensor)


def parse_allow(line: str) -> Allow:
    """The permission that a line says: `S001 tensor model.layers.0.* because it has no conv`."""
    words, because, reason = line.partition(" because ")
    check, *rest = words.split()
    places = dict(zip(rest[::2], rest[1::2], strict=False))
    is_sound = len(rest) % 2 == 0 and len(places) == len(rest) // 2
    if not because or not is_sound or not places.keys() <= {"path", "tensor"}:
        raise UsageError(f"allow: {line[:200]!r} is not of the form", _FORM)
    return allow_of(check, reason, places.get("path", ""), places.get("tensor", ""))


def apply_allows(audit: Audit, allows: Sequence[Allow]) -> tuple[Audit, frozenset[Allow]]:
    """The audit without the findings that are allowed, and which permissions spoke of any.

    A finding is allowed where all its places are: one in another layer is shown with all of them.
    """
    kept, ignored = [], list(audit.ignored)
    used: set[Allow] = set()
    for finding in audit.findings:
        own = [one for one in allows if finding.code in one.codes]
        used.update(one for one in own if _touches(one, finding, audit))
        by = next((one for one in own if _covers(one, finding, audit)), None)
        if by is None:
            kept.append(finding)
        else:
            ignored.append(Ignored(finding, by.reason))
    return replace(audit, findings=tuple(kept), ignored=tuple(ignored)), frozenset(used)


def stale(allows: Iterable[Allow], used: Iterable[Allow], audits: Sequence[Audit]) -> list[Allow]:
    """Permissions that matched nothing, though their checks ran over a source that they mean."""
    spoken = frozenset(used)
    run = frozenset(code for audit in audits for code in audit.run)
    return [
        one
        for one in allows
        if one not in spoken
        and one.codes & run
        and (not one.path or any(_is_meant(audit, one.path) for audit in audits))
    ]


def _is_meant(audit: Audit, path: str) -> bool:
    origin = audit.checkpoint.origin
    return source_matches(origin.spec, path) or source_matches(origin.title, path)


def _covers(allow: Allow, finding: Finding, audit: Audit) -> bool:
    return all(_is_allowed(allow, where, audit) for where in finding.where or (Where(),))


def _touches(allow: Allow, finding: Finding, audit: Audit) -> bool:
    return any(_is_allowed(allow, where, audit) for where in finding.where or (Where(),))


def _is_allowed(allow: Allow, where: Where, audit: Audit) -> bool:
    if allow.tensor and not is_within(where, allow.tensor):
        return False
    if not allow.path or _is_meant(audit, allow.path):
        return True
    return where.file is not None and _file_matches(where.file, audit, allow.path)


def _file_matches(file: str, audit: Audit, path: str) -> bool:
    """Whether a file is meant: by its path in the source, or with the source before it."""
    spec = audit.checkpoint.origin.spec.rstrip("/")
    return matcher(path)(file) or source_matches(f"{spec}/{file}", path)
