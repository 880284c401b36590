"""I009."""

from __future__ import annotations

import pytest

from tests.checks.making import findings_of
from tests.conftest import Tensors, index_of

A: Tensors = {"a": ("F32", [2])}
FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
SOUND = index_of({"a": FILE})

CASES = [
    pytest.param("I009", {FILE: A, INDEX: SOUND}, 0, id="I009-small"),
    pytest.param("I009", {FILE: A, INDEX: SOUND + b" " * (10 << 20)}, 1, id="I009-large"),
    pytest.param("I009", {FILE: A, INDEX: SOUND[:-1]}, 1, id="I009-cut"),
    pytest.param("I009", {FILE: A, INDEX: b"{}"}, 1, id="I009-no-map"),
    pytest.param("I009", {FILE: A, INDEX: b"\xff"}, 1, id="I009-not-utf8"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


def test_a_large_index_is_a_remark_and_a_broken_one_an_error() -> None:
    (large,) = findings_of({FILE: A, INDEX: SOUND + b" " * (10 << 20)}, "I009")
    (broken,) = findings_of({FILE: A, INDEX: SOUND[:-1]}, "I009")

    assert ("info", "error") == (large.severity, broken.severity)
