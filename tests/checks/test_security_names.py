"""X005, X006."""

from __future__ import annotations

import pytest

from tests.checks.making import ONE, findings_of
from tests.conftest import file_of


def holding(*names: str) -> dict[str, object]:
    return {"model.safetensors": {name: ("F32", [2]) for name in names}}


def saying(value: str) -> dict[str, object]:
    return {"model.safetensors": file_of(ONE, {"format": "pt", "note": value})}


CASES = [
    pytest.param("X005", holding("gewicht.größe", "重み"), 0, id="X005-letters"),
    pytest.param("X005", holding("a b"), 0, id="X005-space"),
    pytest.param("X005", saying("two\nlines\tand a tab"), 0, id="X005-lines"),
    pytest.param("X005", holding("a\x1b]0;owned\x07"), 1, id="X005-escape"),
    pytest.param("X005", holding("a\u202eb"), 1, id="X005-bidi"),
    pytest.param("X005", holding("a\0b"), 1, id="X005-nul"),
    pytest.param("X005", saying("\x1b[2J"), 1, id="X005-metadata"),
    pytest.param("X005", {**holding("a"), "a\x1b[2J.txt": b""}, 1, id="X005-file"),
    pytest.param("X006", holding("a.weight", "b.weight"), 0, id="X006-ordinary"),
    pytest.param("X006", holding("a" * 512), 0, id="X006-512"),
    pytest.param("X006", holding("a" * 513), 1, id="X006-513"),
    pytest.param("X006", holding("a" * 5000), 1, id="X006-5000"),
    pytest.param("X006", holding("a.weight", "A.weight"), 1, id="X006-case"),
    pytest.param("X006", holding("a.weight", "\u0430.weight"), 1, id="X006-look-alike"),
    pytest.param("X006", holding("a "), 1, id="X006-space"),
    pytest.param("X006", holding("../../a"), 1, id="X006-path"),
    pytest.param("X006", holding("", "b"), 1, id="X006-empty"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


@pytest.mark.parametrize(
    ("name", "severity"), [("a\x1bb", "error"), ("a\u2800b", "warning")], ids=["obeyed", "unseen"]
)
def test_what_a_terminal_obeys_is_an_error(name: str, severity: str) -> None:
    (found,) = findings_of(holding(name), "X005")

    assert severity == found.severity
    assert 8 < (found.where[0].byte or 0)
