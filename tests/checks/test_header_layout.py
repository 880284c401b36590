"""H007-H009."""

from __future__ import annotations

import pytest

from tests.checks.making import entry, findings_of, raw

A, B = entry("F32", [2], 0, 8), entry("F32", [2], 8, 16)

CASES = [
    pytest.param("H007", {"b": B, "a": A}, 16, 0, id="H007-other-order"),
    pytest.param("H007", {"a": A, "z": entry("F32", [0], 8, 8), "b": B}, 16, 0, id="H007-empty"),
    pytest.param("H007", {"a": A, "b": entry("F32", [2], 4, 12)}, 12, 1, id="H007-partly"),
    pytest.param("H007", {"a": A, "b": A}, 8, 1, id="H007-alias"),
    pytest.param("H008", {"a": A, "b": B}, 16, 0, id="H008-end-to-end"),
    pytest.param("H008", {"a": A, "b": entry("F32", [2], 9, 17)}, 17, 1, id="H008-one-byte"),
    pytest.param("H008", {"b": B}, 16, 1, id="H008-at-the-start"),
    pytest.param("H009", {"a": entry("F4", [3], 0, 2)}, 2, 1, id="H009-half-a-byte"),
    pytest.param("H009", {"a": entry("F4", [4], 0, 2)}, 2, 0, id="H009-sub-byte"),
    pytest.param("H009", {"a": entry("F32", [2], 0, 7)}, 7, 1, id="H009-one-byte-less"),
]


@pytest.mark.parametrize(("code", "entries", "size", "count"), CASES)
def test_what_is_found(code: str, entries: dict[str, object], size: int, count: int) -> None:
    assert count == len(findings_of({"model.safetensors": raw(entries, size)}, code))


def test_a_hole_tells_where_it_begins() -> None:
    """ "Byte-buffer needs to be entirely indexed, and cannot contain holes." """
    file = raw({"a": A, "b": entry("F32", [2], 12, 20)}, 20)
    (found,) = findings_of({"model.safetensors": file}, "H008")

    assert len(file) - 20 + 8 == found.where[0].byte


def test_an_overlap_tells_where_the_later_one_begins() -> None:
    file = raw({"a": A, "b": entry("F32", [2], 4, 12)}, 12)
    (found,) = findings_of({"model.safetensors": file}, "H007")

    assert len(file) - 12 + 4 == found.where[0].byte
