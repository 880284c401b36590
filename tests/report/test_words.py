"""Numbers and names as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.report import words
from tests.conftest import WRITABLE


@pytest.mark.parametrize(
    ("size", "text", "short"),
    [
        (0, "0 B", "0 B"),
        (1023, "1023 B", "1023 B"),
        (1024, "1.00 KiB", "1.00 KiB"),
        (114_817_317_888, "106.93 GiB", "107 GiB"),
        (15_231_233_024, "14.19 GiB", "14.2 GiB"),
        (688_574_839_360, "641.29 GiB", "641 GiB"),
        (1_342_052_868_096, "1.22 TiB", "1.22 TiB"),
        (2**70, "1,048,576.00 PiB", "1,048,576 PiB"),
    ],
)
def test_bytes_are_written_in_binary_units(size: int, text: str, short: str) -> None:
    assert (text, short) == (words.nbytes(size), words.nbytes(size, 3))


@pytest.mark.parametrize(
    ("count", "text", "short"),
    [
        (0, "0", "0"),
        (999, "999", "999"),
        (1000, "1.00 K", "1.00 K"),
        (57_408_658_944, "57.41 B", "57.4 B"),
        (684_531_386_000, "684.53 B", "685 B"),
        (1_026_470_731_056, "1.03 T", "1.03 T"),
    ],
)
def test_counts_are_written_in_powers_of_a_thousand(count: int, text: str, short: str) -> None:
    assert (text, short) == (words.short_count(count), words.short_count(count, 3))


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 0, "-"),
        (0, 9, "0.0 %"),
        (1, 10_000, "<0.1 %"),
        (1, 3, "33.3 %"),
        (9, 9, "100.0 %"),
        (815, 10_000, "8.2 %"),
    ],
)
def test_a_share_has_one_decimal(part: int, whole: int, text: str) -> None:
    assert text == words.share(part, whole)


def test_shapes_look_like_torch_s() -> None:
    assert ["[]", "[3584]", "[2, 3]"] == [words.shape(shape) for shape in ((), (3584,), (2, 3))]
    assert "[1, 1, 1, 1, 1, 1, ... 10,000 dims]" == words.shape((1,) * 10_000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model.layers", "model.layers"),
        ("größe", "größe"),
        ("a b", "a b"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("a\nb\\c", "a\\nb\\\\c"),
        ("back\\slash", "back\\slash"),
        ("\u202egnp", "\\u202egnp"),
        ("\u200b", "\\u200b"),
        ("\x9b31m", "\\x9b31m"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
        ("w\ufe00", "w\\ufe00"),
        ("\u3164", "\\u3164"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert shown == words.printable(text)


@given(st.text(WRITABLE))
def test_whatever_is_shown_is_printable(text: str) -> None:
    assert words.label(text).isprintable()


def test_an_absurdly_long_name_is_cut_in_the_middle() -> None:
    shown = words.label("a" * 500_000 + "b" * 500_000)

    assert shown.startswith("aaa")
    assert shown.endswith("bbb (1,000,000 characters)")
    assert len(shown) < 250


def test_nouns_have_a_plural() -> None:
    assert ["1 file", "0 files", "1,000 files"] == [words.plural(n, "file") for n in (1, 0, 1000)]
