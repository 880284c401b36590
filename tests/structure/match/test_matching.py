"""Every tensor of both sides is in exactly one match, whatever the names are."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.names import fill
from ckptscan.structure import Structure
from ckptscan.structure.match import Part, match
from tests.conftest import ATTACKS, Tensors, structure_of

WORDS = ["model", "layers", "0", "1", "07", "q_proj", "k_proj", "expert_3", "norm", "weight", "*"]
NAMES = st.lists(st.sampled_from([*WORDS, "", "bias", "qweight", "scales"]), min_size=1, max_size=5)
KINDS = st.tuples(
    st.sampled_from(["F32", "BF16", "I32", "U8", "F8_E4M3"]),
    st.lists(st.sampled_from([1, 8, 64]), max_size=3),
)
MODELS = st.dictionaries(NAMES.map(".".join), KINDS, max_size=12)


def names_of(parts: list[Part]) -> Counter[str]:
    """The names in the files that these parts stand for."""
    return Counter(
        fill(part.unit.family.pattern, indices, part.unit.family.axes)
        for part in parts
        for indices in part.own
    )


def held(structure: Structure) -> Counter[str]:
    return Counter(structure.checkpoint.table.names)


@given(MODELS, MODELS)
def test_no_tensor_is_lost_or_told_twice(one: Tensors, two: Tensors) -> None:
    a, b = structure_of(one), structure_of(two)
    found = match(a, b).matches

    assert held(a) == names_of([part for each in found for part in each.a])
    assert held(b) == names_of([part for each in found for part in each.b])
    assert all(each.a or each.b for each in found)


@given(MODELS)
def test_a_model_matches_itself_by_name(one: Tensors) -> None:
    found = match(structure_of(one), structure_of(one))

    assert {"name"} >= {each.how for each in found.matches}
    assert all(each.a and each.b for each in found.matches)
    assert all(each.a[0].own == each.b[0].own for each in found.matches)


@pytest.mark.slow
def test_thousands_of_shapes_under_one_name_take_no_time() -> None:
    tensors: Tensors = {f"a.{n}.weight": ("U8", [n + 1]) for n in range(3000)}
    start = time.process_time()
    found = match(structure_of(tensors), structure_of(tensors)).matches

    assert 3000 == sum(part.tensors for each in found for part in each.a if each.b)
    assert 30 > time.process_time() - start


@pytest.mark.slow
def test_thousands_of_odd_names_take_no_time() -> None:
    """Nothing but names is looked at where no model can be meant."""
    one: Tensors = {f"a{chr(97 + n % 26)}_{n}x.w": ("U8", [8]) for n in range(5000)}
    two: Tensors = {f"b{name}": kind for name, kind in one.items()}
    start = time.process_time()
    found = match(structure_of(one), structure_of(two))

    assert found.is_by_names_alone
    assert 30 > time.process_time() - start


@pytest.mark.slow
def test_names_of_a_megabyte_take_no_time() -> None:
    names = ["a." * 100_000, "1." * 100_000, ".*" * 100_000, "\\" * 200_000, "a" * 1_000_000]
    one = structure_of({name: ("U8", [1]) for name in names})
    two = structure_of({f"x.{name}": ("U8", [1]) for name in names})
    start = time.process_time()
    match(one, two)

    assert 30 > time.process_time() - start


@pytest.mark.parametrize("name", ["hostile-names", "overflow", "duplicate-name", "overlap"])
def test_hostile_files_are_matched(name: str) -> None:
    from ckptscan.checkpoint import open_checkpoint
    from ckptscan.structure import describe

    one = describe(open_checkpoint(str(ATTACKS / f"{name}.safetensors")))
    other = structure_of({"a": ("F32", [4])})

    assert match(one, other).matches or not one.tensors
    assert match(one, one).matches or not one.tensors
