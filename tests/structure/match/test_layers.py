"""Layers that were cut out or put in are found by their signatures, or said to be open."""

from __future__ import annotations

from difflib import SequenceMatcher

from hypothesis import given as over
from hypothesis import strategies as st

from ckptscan.structure.match import Known, match
from ckptscan.structure.match.layers import align, longest_common
from ckptscan.structure.match.units import units_of
from tests.conftest import Tensors, structure_of

LETTERS = st.lists(st.sampled_from("ABC"), max_size=12)


@over(LETTERS, LETTERS)
def test_the_common_layers_are_the_most(one: list[str], two: list[str]) -> None:
    steps = longest_common(one, two)
    blocks = SequenceMatcher(None, one, two, autojunk=False).get_matching_blocks()

    assert all(one[left] == two[right] for left, right in steps)
    assert steps == sorted(steps)
    assert len({left for left, _ in steps}) == len({right for _, right in steps}) == len(steps)
    assert len(steps) >= sum(block.size for block in blocks)


def layers(kinds: str, numbers: list[int] | None = None) -> Tensors:
    """Layers of these kinds: a letter's width tells it from the others."""
    return {
        f"model.layers.{number}.mlp.up_proj.weight": ("BF16", [8, ord(kind)])
        for number, kind in zip(numbers or range(len(kinds)), kinds, strict=True)
    }


def aligned(one: str, two: str) -> list[tuple[tuple[int, ...], tuple[int, ...], bool]]:
    ours, theirs = (units_of(structure_of(layers(kinds))) for kinds in (one, two))
    return [(found.gone, found.new, found.is_sure) for found in align(ours, theirs)]


def test_a_layer_of_its_own_kind_is_surely_gone() -> None:
    assert [((2,), (), True)] == aligned("AABCD", "AACD")


def test_one_of_alike_layers_may_be_any_of_them() -> None:
    ((gone, new, is_sure),) = aligned("ABBBC", "ABBC")

    assert (1, 0, False) == (len(gone), len(new), is_sure)


def test_a_layer_that_was_put_in_is_new() -> None:
    assert [((), (1,), True)] == aligned("ABC", "AXBC")


def test_layers_of_one_kind_keep_their_numbers() -> None:
    assert [] == aligned("AAAA", "AAA")
    assert [] == aligned("AAA", "AAAA")


def test_layers_with_nothing_in_common_keep_their_numbers() -> None:
    assert [] == aligned("AAAA", "BBB")


def test_a_layer_that_differs_keeps_its_place() -> None:
    assert [] == aligned("ABCD", "AXCD")
    assert [((0,), (), True)] == aligned("EABCD", "AXCD")


def test_an_alignment_may_be_given() -> None:
    """Content may tell which of alike layers are gone."""
    one, two = structure_of(layers("AAAA")), structure_of(layers("AAA"))
    found = match(one, two, {("model", "layers"): Known({0: 0, 2: 1, 3: 2})})
    (alone,) = [each for each in found.matches if not each.b]

    assert ["1"] == [str(axis) for axis in alone.a[0].axes]
    assert {(("2-3",), ("1-2",)), (("0",), ("0",))} == {
        tuple(tuple(map(str, side[0].axes)) for side in (each.a, each.b))
        for each in found.matches
        if each.b
    }
