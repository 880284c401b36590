"""Counts that files declare, held against the sums that people publish."""

from __future__ import annotations

import pytest

from ckptscan.structure import describe
from ckptscan.structure.active import Active
from ckptscan.structure.counting import Parameters
from ckptscan.structure.declared import Declared, known_sums
from tests.conftest import checkpoint_of, file_of, index_of

W = {"a.weight": ("BF16", [2, 3])}
ONE = "model-00001-of-00001.safetensors"


def test_an_index_and_headers_declare_counts() -> None:
    found = describe(
        checkpoint_of(
            {
                ONE: file_of(W, {"num_parameters": "6", "total_params": "7"}),
                "model.safetensors.index.json": index_of({"a.weight": ONE}, total_parameters=6),
            }
        )
    ).declared

    assert [
        ("index total_parameters", 6),
        ("header total_params", 7),
        ("header num_parameters", 6),
    ] == [(one.where, one.value) for one in found]
    assert "logical" in found[0].equals
    assert () == found[1].equals


def test_the_same_claim_of_several_files_stands_once() -> None:
    files = {
        f"model-0000{n}-of-00002.safetensors": file_of(
            {f"a{n}.weight": ("BF16", [2, 3])}, {"num_parameters": "12"}
        )
        for n in (1, 2)
    }

    assert ["header num_parameters"] == [
        one.where for one in describe(checkpoint_of(files)).declared
    ]


@pytest.mark.parametrize("value", ["", "0", "-1", "six", "6.0", "\u0666", "1" * 20, "1e9"])
def test_what_is_no_count_is_not_one(value: str) -> None:
    checkpoint = checkpoint_of({"model.safetensors": file_of(W, {"num_parameters": value})})

    assert () == describe(checkpoint).declared


@pytest.mark.parametrize("value", [True, 0, -1, 6.0, "6", None, [6]])
def test_an_index_declares_a_positive_integer_or_nothing(value: object) -> None:
    index = index_of({"a.weight": ONE}, total_parameters=value)
    checkpoint = checkpoint_of({ONE: W, "model.safetensors.index.json": index})

    assert () == describe(checkpoint).declared


PARAMETERS = Parameters(
    logical=1000, stored_elements=1, buffers=5, quantization=7, routing_bias=11, mtp=100,
    embedding=30, lm_head=40, non_embedding=880, tied=False, experts=None,
    active=Active(300, 270, 230),
)  # fmt: skip


def test_the_sums_by_hand() -> None:
    assert {
        "stored elements": 1,
        "logical": 1000,
        "logical without MTP": 900,
        "logical without routing bias": 989,
        "logical without MTP and routing bias": 889,
        "logical with buffers": 1005,
        "logical with quantization": 1007,
        "logical with a head of its own": 1000,
        "non-embedding": 880,
        "non-embedding without MTP": 830,
        "active": 300,
        "active without input embedding": 270,
        "active without embeddings": 230,
    } == dict(known_sums(PARAMETERS))


def test_a_shared_table_counts_twice_where_the_head_has_its_own() -> None:
    sums = dict(known_sums(PARAMETERS._replace(lm_head=0, active=None)))

    assert 1030 == sums["logical with a head of its own"]
    assert "active" not in sums


def test_of_an_unknown_model_the_stored_elements_are_known() -> None:
    assert [("stored elements", 1)] == list(known_sums(PARAMETERS._replace(logical=None)))


def test_a_claim_names_all_sums_that_it_equals() -> None:
    checkpoint = checkpoint_of({"model.safetensors": file_of(W, {"parameter_count": "6"})})
    (found,) = describe(checkpoint).declared

    assert isinstance(found, Declared)
    assert {"stored elements", "logical", "non-embedding"} <= set(found.equals)
