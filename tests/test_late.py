"""Patterns that are compiled late behave as those of `re`."""

from __future__ import annotations

import re

import pytest

from ckptscan.late import Late


@pytest.mark.parametrize("text", ["fc1", "xfc1y", "FC12", ""])
@pytest.mark.parametrize("method", ["match", "fullmatch", "search"])
def test_a_late_pattern_matches_as_a_compiled_one(method: str, text: str) -> None:
    late, plain = Late(r"fc(\d)", re.IGNORECASE), re.compile(r"fc(\d)", re.IGNORECASE)
    expected, actual = getattr(plain, method)(text), getattr(late, method)(text)

    assert (expected and (expected.span(), expected[1])) == (actual and (actual.span(), actual[1]))


def test_a_pattern_is_compiled_when_it_is_first_used() -> None:
    late = Late("(")

    assert "(" == late.pattern
    with pytest.raises(re.error):
        late.search("x")
