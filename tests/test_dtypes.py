"""Dtypes: the 22 of the format with their widths, and strange ones as values."""

from __future__ import annotations

import pytest

from ckptscan.dtypes import DTYPES, dtype


def test_the_format_has_22_dtypes() -> None:
    assert 22 == len(DTYPES)


@pytest.mark.parametrize(
    ("name", "bits", "kind"),
    [
        ("BOOL", 8, "bool"),
        ("F4", 4, "float"),
        ("F6_E3M2", 6, "float"),
        ("F8_E8M0", 8, "float"),
        ("BF16", 16, "float"),
        ("U16", 16, "uint"),
        ("I64", 64, "int"),
        ("C64", 64, "complex"),
    ],
)
def test_a_dtype_has_a_width_in_bits(name: str, bits: int, kind: str) -> None:
    assert (name, bits, kind) == tuple(dtype(name))


def test_an_unknown_dtype_is_a_value_without_a_width() -> None:
    assert ("Q4_K", None, "unknown") == tuple(dtype("Q4_K"))


def test_alignment_is_whole_bytes() -> None:
    assert [
        1,
        1,
        2,
        8,
        1,
    ] == [dtype(name).alignment for name in ("F4", "U8", "BF16", "C64", "what")]
