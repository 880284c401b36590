"""Sets of index tuples behave as sets do, written out or not."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure.match.regions import Region, nothing

ONE = Region(())

AXIS = st.frozensets(st.integers(0, 4), max_size=4)
PRODUCTS = st.tuples(AXIS, AXIS).map(Region)
LISTED = st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4))).map(
    lambda held: Region.of(held, 2)
)
REGIONS = st.one_of(PRODUCTS, LISTED)


@given(REGIONS, REGIONS)
def test_a_region_is_a_set(one: Region, two: Region) -> None:
    ours, theirs = set(one), set(two)
    common = one.meet(two)

    assert ours & theirs == set(common)
    assert len(ours & theirs) == len(common)
    assert ours - theirs == set(one.minus(common))
    assert sorted(ours) == list(one)


@given(REGIONS, st.frozensets(st.integers(0, 4)))
def test_a_region_is_narrowed_and_counted(region: Region, numbers: frozenset[int]) -> None:
    held = [one for one in region if one[0] in numbers]

    assert held == list(region.narrowed(0, numbers))
    assert len(held) == region.within((numbers,))
    for number in range(5):
        expected = sum(one[1] == number for one in held)
        assert expected == region.tally(1, (numbers,))[number]


@given(REGIONS)
def test_other_numbers_keep_the_count(region: Region) -> None:
    moved = region.mapped(0, lambda number: number + 7)

    assert [(one + 7, two) for one, two in region] == list(moved)
    assert {one[:1] for one in region} == set(region.leading(1))


def test_a_name_without_indices_is_one_tensor() -> None:
    assert [()] == list(ONE)
    assert ONE == ONE.meet(Region.of([()], 0))
    assert 0 == len(ONE.minus(ONE))
    assert 0 == len(nothing(3))


def test_a_large_product_is_not_written_out() -> None:
    region = Region((frozenset(range(10**4)), frozenset(range(10**4))))
    part = Region((frozenset(range(10)), frozenset(range(10**4))))

    assert 10**8 == len(region)
    assert 10**8 - 10**5 == len(region.minus(part))
    assert part == region.meet(part)
    assert set(product([1], [2])) == set(Region((frozenset([1]), frozenset([2]))))


@given(LISTED)
def test_a_region_is_a_few_products(region: Region) -> None:
    parts = region.products(99)

    assert sorted(region) == sorted(one for part in parts for one in part)
    assert len(region) == sum(map(len, parts))
    assert all(part.tuples is None for part in parts) or not len(region)
    assert region.products(0) == [region] or region.tuples is None


CUBES = st.tuples(AXIS, AXIS, AXIS).map(Region)


@given(CUBES, CUBES)
def test_what_is_left_of_a_product_is_the_same_few_products(whole: Region, other: Region) -> None:
    common = list(whole.meet(other))
    for part in (Region.of(common[::step], 3) for step in (1, 2, 3)):
        for most in (0, 2, 99):
            found = whole.products_without(part, most)

            assert whole.minus(part).products(most) == found
