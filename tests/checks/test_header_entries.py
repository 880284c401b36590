"""H006, H010, H011."""

from __future__ import annotations

import json

import pytest

from tests.checks.making import entry, findings_of, raw

W = entry("F32", [2], 0, 8)
TWICE = '{"__metadata__":{"format":"pt"},"w":' + f"{json.dumps(W)},"

CASES = [
    pytest.param("H006", raw({"w": W, "W": entry("F32", [1], 8, 12)}, 12), 0, id="H006-case"),
    pytest.param("H006", raw(TWICE + f'"w":{json.dumps(W)}}}', 8), 1, id="H006-tensor"),
    pytest.param("H006", raw('{"__metadata__":{"a":"1","a":"2"}}'), 1, id="H006-metadata-key"),
    pytest.param("H006", raw('{"__metadata__":{},"__metadata__":{}}'), 1, id="H006-metadata"),
    pytest.param("H010", raw({"w": entry("F32", [0], 0, 0)}), 0, id="H010-zero"),
    pytest.param("H010", raw({"w": entry("F32", [-1], 0, 8)}, 8), 1, id="H010-negative"),
    pytest.param("H010", raw({"w": entry("F32", [2.0], 0, 8)}, 8), 1, id="H010-float"),
    pytest.param("H010", raw({"w": entry("F32", [2], 0.0, 8.0)}, 8), 1, id="H010-float-offset"),
    pytest.param("H010", raw({"w": entry("F32", [2**32, 2**32], 0, 0)}), 1, id="H010-wraps"),
    pytest.param("H010", raw({"w": entry("F32", [1], 8, 4)}, 8), 1, id="H010-backwards"),
    pytest.param("H010", raw({"w": {**W, "note": 1}}, 8), 1, id="H010-unknown-field"),
    pytest.param("H011", raw({"w": entry("F8_E8M0", [8], 0, 8)}, 8), 0, id="H011-new"),
    pytest.param("H011", raw({"w": entry("f32", [2], 0, 8)}, 8), 1, id="H011-small-letters"),
]


@pytest.mark.parametrize(("code", "file", "count"), CASES)
def test_what_is_found(code: str, file: bytes, count: int) -> None:
    assert count == len(findings_of({"model.safetensors": file}, code))


def test_the_byte_is_that_of_the_entry_that_counts() -> None:
    file = raw(TWICE + f'"w":{json.dumps(W)}}}', 8)
    (found,) = findings_of({"model.safetensors": file}, "H006")

    assert file.rindex(b'"w"') == found.where[0].byte
    assert "error" == found.severity
