"""Checkpoints with numbers in them, as trained ones have."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ckptscan.checkpoint import load
from ckptscan.checks import Audit, Finding, Given, audit
from ckptscan.config import AUDITED
from ckptscan.content import Content, Wish, read_content
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from tests.conftest import Tensors

Arrays = dict[str, tuple[str, NDArray[Any]]]
FILE = "model.safetensors"


def stored(dtype: str, numbers: NDArray[Any]) -> NDArray[Any]:
    """Numbers as a file holds them."""
    if dtype == "BF16":
        return (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")
    kinds = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8", "U8": "u1"}
    return numbers.astype(kinds[dtype])


def weights(tensors: Tensors, seed: int = 0) -> Arrays:
    """Random numbers for tensors: normal ones for matrices, ones for norms, zeros for biases."""
    draw = np.random.default_rng(seed)
    found: Arrays = {}
    for name, (dtype, shape) in tensors.items():
        if dtype.startswith("F8"):
            raw = (
                draw.integers(0, 0x70, shape).astype("u1")
                | draw.integers(0, 2, shape).astype("u1") << 7
            )
            found[name] = dtype, raw.astype("u1")
        elif dtype in ("I32", "U8"):
            is_books = name.endswith(("qzeros", "g_idx"))
            raw = np.full(shape, 0x77777777) if is_books else draw.integers(-(2**31), 2**31, shape)
            found[name] = dtype, stored(dtype, raw)
        elif "scale" in name:
            found[name] = dtype, stored(dtype, draw.uniform(0.001, 0.02, shape))
        elif len(shape) < 2:
            found[name] = (
                dtype,
                stored(dtype, np.zeros(shape) if "bias" in name else np.ones(shape)),
            )
        elif "lora_B" in name:
            found[name] = dtype, stored(dtype, np.zeros(shape))
        else:
            found[name] = dtype, stored(dtype, draw.standard_normal(shape) * 0.02)
    return found


def raw_file(arrays: Arrays) -> bytes:
    """A file of these tensors."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    reached = 0
    for name, (dtype, array) in arrays.items():
        end = reached + array.nbytes
        entries[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [reached, end]}
        reached = end
    head = json.dumps(entries).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + b"".join(a.tobytes() for _, a in arrays.values())


def source_of(raw: bytes, digest: str | None = None, **files: object) -> MemorySource:
    """A source of one weight file and json files."""
    held = {
        FILE: raw,
        **{f"{name}.json": json.dumps(text).encode() for name, text in files.items()},
    }
    return MemorySource(held, [FileEntry(FILE, len(raw), digest)])


def structure_of(source: MemorySource) -> Structure:
    return describe(load(source, beside=AUDITED))


def content_of(
    arrays: Arrays, wish: Wish | None = None, **files: object
) -> tuple[Structure, Content]:
    """What is read of these tensors."""
    source = source_of(raw_file(arrays), **files)
    structure = structure_of(source)
    source.ranges.clear()
    return structure, read_content(source, structure, wish, resume=False)


def audit_of(arrays: Arrays, *select: str, wish: Wish | None = None, **files: object) -> Audit:
    """The audit of these tensors with all that they hold."""
    structure, content = content_of(arrays, wish, **files)
    done = audit(structure, select, given=Given(content=content, peeked=content))

    assert () == done.crashed
    return done


def found(arrays: Arrays, *select: str, **files: object) -> list[str]:
    """What the checks of values find, as `V001 error`."""
    return told(audit_of(arrays, *(select or ("V",)), **files).findings)


def told(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{one.code} {one.severity}" for one in findings]


def changed(arrays: Arrays, changes: Mapping[str, NDArray[Any]]) -> Arrays:
    """The same with other numbers in some tensors."""
    return arrays | {name: (arrays[name][0], array) for name, array in changes.items()}
