"""I001, I006-I008."""

from __future__ import annotations

import pytest

from ckptscan.checks import Where
from tests.checks.making import findings_of
from tests.conftest import Tensors, index_of

A: Tensors = {"a": ("F32", [2])}
B: Tensors = {"b": ("F32", [2])}
BOTH: Tensors = {**A, **B}
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
MAP = index_of({"a": ONE, "b": TWO})
SHARDED = {ONE: A, TWO: B, INDEX: MAP}

CASES = [
    pytest.param("I001", SHARDED, 0, id="I001-all-there"),
    pytest.param("I001", {ONE: A, TWO: B}, 0, id="I001-no-index"),
    pytest.param("I001", {ONE: A, INDEX: MAP}, 1, id="I001-one-absent"),
    pytest.param("I001", {"model.safetensors": BOTH, INDEX: MAP}, 1, id="I001-stale"),
    pytest.param("I006", SHARDED, 0, id="I006-all-there"),
    pytest.param("I006", {ONE: A, INDEX: MAP}, 0, id="I006-told-by-I001"),
    pytest.param(
        "I006",
        {f"model-0000{n}-of-00002.safetensors": {f"w{n}": ("F32", [1])} for n in (0, 1, 2)},
        0,
        id="I006-from-0-to-n",
    ),
    pytest.param("I006", {ONE: A}, 1, id="I006-one-absent"),
    pytest.param("I006", {ONE: A, INDEX: index_of({"a": ONE})}, 1, id="I006-index-of-half"),
    pytest.param("I007", SHARDED, 0, id="I007-one-set"),
    pytest.param("I007", {**SHARDED, "consolidated.safetensors": BOTH}, 1, id="I007-beside"),
    pytest.param("I007", {**SHARDED, "original/model.safetensors": BOTH}, 1, id="I007-elsewhere"),
    pytest.param("I007", {**SHARDED, "extra.safetensors": A}, 1, id="I007-no-index-names-it"),
    pytest.param("I008", {**SHARDED, "model.safetensors": BOTH}, 0, id="I008-the-same"),
    pytest.param("I008", {**SHARDED, "model.safetensors": A}, 1, id="I008-fewer"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        ({ONE: A, INDEX: MAP}, "error"),
        ({"model.safetensors": BOTH, INDEX: MAP}, "warning"),
    ],
    ids=["chosen", "stale"],
)
def test_an_absent_shard_of_the_chosen_set_is_an_error(
    files: dict[str, object], severity: str
) -> None:
    (found,) = findings_of(files, "I001")

    assert severity == found.severity
    assert Where(TWO) in found.where


def test_a_set_in_another_folder_is_a_remark() -> None:
    (found,) = findings_of({**SHARDED, "original/model.safetensors": BOTH}, "I007")

    assert "info" == found.severity


def test_an_index_that_names_all_makes_a_hole_a_warning() -> None:
    (found,) = findings_of({ONE: A, INDEX: index_of({"a": ONE})}, "I006")

    assert "warning" == found.severity
