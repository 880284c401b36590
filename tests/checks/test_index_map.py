"""I002-I005."""

from __future__ import annotations

import pytest

from ckptscan.checks import Where
from tests.checks.making import findings_of
from tests.conftest import Tensors, index_of

A: Tensors = {"a": ("F32", [2])}
B: Tensors = {"b": ("F32", [2])}
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"
GOOD = {"a": ONE, "b": TWO}


def files(index: bytes, one: Tensors = A, two: Tensors = B) -> dict[str, object]:
    return {ONE: one, TWO: two, INDEX: index}


TWICE = f'{{"weight_map": {{"a": "{ONE}", "a": "{ONE}", "b": "{TWO}"}}}}'.encode()

CASES = [
    pytest.param("I002", files(index_of(GOOD)), 0, id="I002-right"),
    pytest.param("I002", {ONE: A, INDEX: index_of(GOOD)}, 0, id="I002-file-absent"),
    pytest.param("I002", files(index_of({**GOOD, "c": TWO})), 1, id="I002-nowhere"),
    pytest.param("I002", files(index_of({"a": TWO, "b": TWO, "c": ONE})), 1, id="I002-elsewhere"),
    pytest.param("I003", files(index_of(GOOD)), 0, id="I003-right"),
    pytest.param("I003", files(index_of({"a": TWO, "b": ONE})), 0, id="I003-swapped"),
    pytest.param("I003", files(index_of(GOOD), {**A, "c": ("F32", [2])}), 1, id="I003-one-more"),
    pytest.param("I004", files(index_of(GOOD)), 0, id="I004-right"),
    pytest.param("I004", files(index_of(GOOD), A, A), 0, id="I004-parallel-parts"),
    pytest.param("I004", files(index_of(GOOD), {**A, **B}), 1, id="I004-one-again"),
    pytest.param("I004", files(TWICE), 1, id="I004-twice-in-the-index"),
    pytest.param("I005", files(index_of(GOOD)), 0, id="I005-none-stated"),
    pytest.param("I005", files(index_of(GOOD, total_size=16)), 0, id="I005-right"),
    pytest.param("I005", files(index_of(GOOD, total_size=16.0)), 0, id="I005-right-as-a-float"),
    pytest.param("I005", files(index_of(GOOD, total_size=17)), 1, id="I005-wrong"),
    pytest.param("I005", files(index_of(GOOD, total_size="16")), 1, id="I005-text"),
    pytest.param("I005", files(index_of(GOOD, total_size=float("nan"))), 1, id="I005-nan"),
]


@pytest.mark.parametrize(("code", "files", "count"), CASES)
def test_what_is_found(code: str, files: dict[str, object], count: int) -> None:
    assert count == len(findings_of(files, code))


def test_a_tensor_that_lies_elsewhere_is_told_so() -> None:
    (found,) = findings_of(files(index_of({"a": TWO, "b": TWO, "c": ONE})), "I002")

    assert 1 == found.evidence["elsewhere"]
    assert {Where(TWO, "a"), Where(ONE, "c")} == set(found.where)


def test_many_tensors_are_one_place() -> None:
    names = {f"layers.{n}.w": TWO for n in (0, 1, 2, 7)}
    (found,) = findings_of(files(index_of({**GOOD, **names})), "I002")

    assert (Where(TWO, None, "layers.*.w", ("0-2,7",), 4),) == found.where


def test_an_index_below_the_root_names_files_below_it() -> None:
    below = {f"a/{path}": held for path, held in files(index_of({**GOOD, "c": TWO})).items()}
    (found,) = findings_of(below, "I002")

    assert f"a/{TWO}" == found.where[0].file
