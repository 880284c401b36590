"""Subjects for tests of checks: files in, codes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ckptscan.checks import Audit, Finding, audit
from ckptscan.config import AUDITED
from ckptscan.header import LENGTH
from tests.conftest import Tensors, checkpoint_of, file_of, framed

PT = {"format": "pt"}
ONE: Tensors = {"a.weight": ("F32", [2, 2]), "b.weight": ("F32", [2])}


def audit_of(files: Mapping[str, bytes | Tensors | dict[str, object]], *select: str) -> Audit:
    """The audit of these files: bytes as they are, tensors as a sound file, `.json` as written."""
    held: dict[str, bytes] = {}
    for path, content in files.items():
        if isinstance(content, bytes):
            held[path] = content
        elif path.endswith(".json"):
            held[path] = json.dumps(content).encode()
        else:
            held[path] = file_of(content, PT)  # type: ignore[arg-type]
    return audit(checkpoint_of(held, beside=AUDITED), select)


def findings_of(files: Mapping[str, object], code: str) -> tuple[Finding, ...]:
    """What one check finds in these files."""
    done = audit_of(files, code)  # type: ignore[arg-type]

    assert () == done.crashed
    return done.findings


def entry(dtype: str, shape: Sequence[object], start: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}


def raw(entries: Mapping[str, object] | str, size: int = 0, pad: str = " ") -> bytes:
    """A file with exactly these entries and `size` bytes of data."""
    text = entries if isinstance(entries, str) else json.dumps({"__metadata__": PT, **entries})
    text += pad * (-len(text.encode()) % LENGTH)
    return framed(text, bytes(size))
