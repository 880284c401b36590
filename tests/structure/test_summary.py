"""The whole structure of a checkpoint, or of the tensors that match."""

from __future__ import annotations

from ckptscan.structure import describe
from tests.conftest import checkpoint_of

FILES = {"model.safetensors": {"a.0": ("F32", [4]), "a.1": ("F32", [4]), "b": ("BF16", [2])}}


def test_dtypes_are_summed_the_largest_first() -> None:
    structure = describe(checkpoint_of(FILES))

    assert [("F32", 2, 8, 32), ("BF16", 1, 2, 4)] == [tuple(use) for use in structure.dtypes]
    assert (structure.tensors, structure.numel, structure.nbytes) == (3, 10, 36)
    assert structure.rows is None


def test_a_match_limits_everything() -> None:
    structure = describe(checkpoint_of(FILES), lambda name: name.startswith("a"))

    assert (0, 1) == structure.rows
    assert ["a.*"] == [family.pattern for family in structure.families]
    assert (structure.tensors, structure.numel) == (2, 8)


def test_nothing_that_matches_is_an_empty_structure() -> None:
    structure = describe(checkpoint_of(FILES), lambda name: False)

    assert (structure.tensors, structure.numel, structure.nbytes) == (0, 0, 0)
    assert () == structure.families == structure.layers == structure.dtypes
