"""The shortest description of how kinds of layers follow each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.structure.layout import describe, letter

# real layouts: uniform, DeepSeek-V3 with MTP, T5, Qwen3-Next, Jamba, DeepSeek-V4, MiMo-V2-Flash
CASES = [
    ("A" * 28, "A x 28"),
    ("AAA" + "B" * 58 + "C", "A x 3, B x 58, C"),
    ("ABBBBB", "A, B x 5"),
    ("AAAB" * 12, "(A A A B) x 12"),
    ("ABABCBAB" * 4, "(A B A B C B A B) x 4"),
    ("AAAB" + "CB" * 20, "A x 3, (B C) x 20, B"),
    ("A" + "BBBBBC" * 7 + "BB", "A, (B B B B B C) x 7, B x 2"),
    ("AB" * 16, "(A B) x 16"),
    ("ABA", "A, B, A"),
    ("ABAB", "(A B) x 2"),
    ("A", "A"),
    ("", ""),
    ("ABCDEFG", "A, B, C, D, E, F, G"),
]


@pytest.mark.parametrize(("letters", "expected"), CASES)
def test_a_layout_is_described_in_few_letters(letters: str, expected: str) -> None:
    assert expected == ", ".join(map(str, describe([*letters])))


@given(st.text(alphabet="ABC", max_size=40))
def test_a_description_gives_the_letters_back(letters: str) -> None:
    runs = describe([*letters])

    assert [*letters] == [char for run in runs for char in run.letters * run.times]


def test_letters_go_on_after_z() -> None:
    assert [
        "A",
        "Z",
        "AA",
        "AZ",
        "BA",
        "ZZ",
        "AAA",
    ] == [letter(number) for number in (0, 25, 26, 51, 52, 701, 702)]


def test_many_kinds_take_no_time() -> None:
    assert 5000 == len(describe([letter(number) for number in range(5000)]))
