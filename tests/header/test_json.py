"""JSON as serde_json reads it: what Python's json would let through is told."""

from __future__ import annotations

import pytest

from ckptscan.header.json import BrokenJson, Scanner, depth, overflows, strings


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("0", False),
        ("0e99999999999", False),
        ("1e-99999999999", False),
        ("1e99999999999", True),
        ("1e308", False),
        ("1e309", True),
        ("1e400", True),
        ("1e-400", False),
        ("1.7976931348623157e308", False),
        ("17976931348623157e292", False),
        ("1" + "0" * 308, False),
        ("1" + "0" * 400, True),
        ("9" * 5000, True),
        ("0." + "0" * 5000 + "1", False),
        ("184467440737095516159.5", False),
        ("-1e999", True),
        ("0." + "0" * 400 + "1e800", True),
        ("1e" + "0" * 5000, False),
        ("1e-" + "0" * 5000 + "1", False),
        ("1e+" + "0" * 5000 + "309", True),
        ("0e" + "9" * 5000, False),
        ("0." + "0" * 1_000_000 + "1", False),
    ],
)
def test_numbers_overflow_where_serde_json_says_so(literal: str, expected: bool) -> None:
    assert expected == overflows(literal)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1,2]", [1, 2]),
        ('{"a":1,"a":2}', (("a", 1), ("a", 2))),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("null", None),
    ],
)
def test_values_keep_their_types_and_repeated_keys(text: str, value: object) -> None:
    scanner = Scanner(text)

    assert (value, len(text)) == scanner.value(0)
    assert [] == scanner.refusals


@pytest.mark.parametrize(
    "text", ["-0", "18446744073709551616", "-9223372036854775809", "1.0", "1e2"]
)
def test_what_serde_makes_a_float_is_no_integer(text: str) -> None:
    value, _ = Scanner(text).value(0)

    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("NaN", "NaN"),
        ("[-Infinity]", "-Infinity"),
        ("1e999", "overflows"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udc00":1}', "surrogate"),
        ('["\\ud83dx"]', "surrogate"),
    ],
)
def test_what_serde_json_refuses_is_told(text: str, refusal: str) -> None:
    scanner = Scanner(text)
    scanner.value(0)

    assert refusal in scanner.refusals[0]


def test_a_pair_of_surrogates_is_one_character() -> None:
    scanner = Scanner('"\\ud83d\\ude00"')

    assert "😀" == scanner.string(0)[0]
    assert [] == scanner.refusals


@pytest.mark.parametrize(
    "text", ["", "x", "[1", '"a', "[1,]", "01", "+1", "1.", "'a'", "[" * 100_000, '"\x00"']
)
def test_broken_text_is_told_with_its_place(text: str) -> None:
    try:
        _, end = Scanner(text).value(0)
    except BrokenJson as broken:
        end = broken.position

    assert end in range(len(text) + 1)
    assert end != len(text) or text in ("", "[1")


def test_depth_counts_arrays_and_objects() -> None:
    assert [0, 1, 2, 3] == [
        depth(Scanner(text).value(0)[0]) for text in ("1", "[]", '{"a":[]}', '[[{"a":1}]]')
    ]


def test_all_strings_are_found() -> None:
    value, _ = Scanner('{"a":["b",{"c":"d"}],"e":1}').value(0)

    assert ["a", "b", "c", "d", "e"] == sorted(strings(value))
