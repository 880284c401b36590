"""H013, H014."""

from __future__ import annotations

import pytest

from tests.checks.making import ONE, findings_of, raw
from tests.conftest import file_of

CASES = [
    pytest.param("H013", file_of(ONE, {"format": "pt"}), 0, id="H013-pt"),
    pytest.param("H013", file_of(ONE, {"Format": "pt"}), 1, id="H013-other-case"),
    pytest.param("H013", file_of(ONE), 1, id="H013-none"),
    pytest.param("H013", raw('{"__metadata__":null}'), 1, id="H013-null"),
    pytest.param("H013", raw('{"__metadata__":{"format":1}}'), 1, id="H013-no-string"),
    pytest.param("H014", file_of(ONE, {"total_parameters": "6"}), 0, id="H014-right"),
    pytest.param("H014", file_of(ONE, {"total_parameters": "many"}), 0, id="H014-no-number"),
    pytest.param("H014", file_of(ONE, {"total_parameters": "7"}), 1, id="H014-wrong"),
]


@pytest.mark.parametrize(("code", "file", "count"), CASES)
def test_what_is_found(code: str, file: bytes, count: int) -> None:
    assert count == len(findings_of({"model.safetensors": file}, code))


def test_metadata_that_are_no_strings_are_an_error() -> None:
    (found,) = findings_of({"model.safetensors": raw('{"__metadata__":{"format":1}}')}, "H013")

    assert "error" == found.severity
    assert "InvalidHeaderDeserialization" == found.evidence["reference"]
