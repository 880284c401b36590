"""Names: patterns and indices, natural order, sets of indices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.names import IndexSet, escape, fill, is_index, natural_key, split_stars, unescape
from tests.conftest import WRITABLE

TEXT = st.text(alphabet="ab.*\\0123456789é\n", max_size=20)
INDICES = st.lists(st.integers(0, 10**18 - 1), max_size=30)


@pytest.mark.parametrize("segment", ["0", "7", "007", "9" * 18])
def test_ascii_digits_alone_are_an_index(segment: str) -> None:
    assert is_index(segment)


@pytest.mark.parametrize("segment", ["", "fc1", "1x1", "-1", "+1", "1_0", "٣", "²", "9" * 19, " 1"])
def test_anything_else_is_a_name(segment: str) -> None:
    assert not is_index(segment)


def test_natural_order_counts() -> None:
    names = ["layers.10.w", "layers.9.w", "layers.9.b", "a", "layers.09.w", "layers.9.w.x"]

    assert [
        "a",
        "layers.9.b",
        "layers.09.w",
        "layers.9.w",
        "layers.9.w.x",
        "layers.10.w",
    ] == sorted(names, key=natural_key)


@given(st.lists(st.text(WRITABLE, max_size=8), max_size=6), st.randoms())
def test_natural_order_is_total(names: list[str], random: object) -> None:
    shuffled = [*names]
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert sorted(names, key=natural_key) == sorted(shuffled, key=natural_key)


def test_a_name_of_thousands_of_digits_has_a_place_in_the_order() -> None:
    assert sorted(["9" * 5000, "1"], key=natural_key)


@given(TEXT)
def test_a_literal_survives_the_pattern(text: str) -> None:
    (piece,) = split_stars(escape(text))

    assert text == unescape(piece)


@given(
    st.lists(TEXT, min_size=1, max_size=5), st.lists(st.integers(0, 999), min_size=4, max_size=4)
)
def test_pattern_and_indices_give_back_the_name(texts: list[str], indices: list[int]) -> None:
    pattern = "*".join(map(escape, texts))
    used = indices[: len(texts) - 1]
    name = "".join(text + str(index) for text, index in zip(texts, [*used, ""], strict=True))

    assert name == fill(pattern, used, [IndexSet.of([index]) for index in used])


def test_a_set_of_indices_is_written_as_ranges() -> None:
    assert "0-2,5,7-8" == str(IndexSet.of([5, 0, 1, 2, 8, 7, 7]))
    assert "" == str(IndexSet.of([]))
    assert "007-010" == str(IndexSet.of([7, 8, 9, 10], width=3))


@given(INDICES)
def test_a_set_of_indices_reads_what_it_writes(indices: list[int]) -> None:
    made = IndexSet.of(indices)

    assert made == IndexSet.parse(str(made))
    assert [*made] == sorted(set(indices))
    assert len(set(indices)) == len(made)
    assert all(index in made for index in indices)
    assert -1 not in made


@pytest.mark.parametrize("text", ["a", "1-", "-1", "1,,2", "1-b", "1 2", "²"])
def test_what_is_no_set_of_indices_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a set of indices"):
        IndexSet.parse(text)
