"""E001, E003."""

from __future__ import annotations

import json

import pytest

from tests.checks.making import ONE, entry, findings_of, raw
from tests.conftest import Tensors, framed

BIG: Tensors = {"a": ("U8", [2100])}
SMALL: Tensors = {"b": ("U8", [100])}
OTHER: Tensors = {"c": ("U8", [2100])}


def shards(*held: Tensors) -> dict[str, object]:
    count = len(held)
    return {f"model-{n:05}-of-{count:05}.safetensors": one for n, one in enumerate(held, 1)}


UNPADDED = framed(json.dumps({"aa": entry("U8", [3], 0, 3)}), b"123")
ODD = raw({"a": entry("U8", [3], 0, 3), "b": entry("F32", [1], 3, 7)}, 7)

CASES = [
    pytest.param("E001", {"model.safetensors": ONE}, 0, id="E001-aligned"),
    pytest.param("E001", {"model.safetensors": UNPADDED}, 1, id="E001-data"),
    pytest.param("E001", {"model.safetensors": ODD}, 1, id="E001-tensor"),
    pytest.param("E003", shards(BIG, OTHER, SMALL), 0, id="E003-the-last"),
    pytest.param("E003", shards(SMALL, BIG), 0, id="E003-two"),
    pytest.param("E003", shards(BIG, SMALL, OTHER), 1, id="E003-in-the-middle"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


def test_a_tensor_that_must_be_copied_is_a_warning() -> None:
    (data,) = findings_of({"model.safetensors": UNPADDED}, "E001")
    (tensor,) = findings_of({"model.safetensors": ODD}, "E001")

    assert ("info", "warning") == (data.severity, tensor.severity)
    assert len(UNPADDED) - 3 == data.where[0].byte
