"""torchao's flattened subclasses."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints
from tests.structure.packing.making import one, said

GATE = (14336, 4096)
CASES = {
    "float8 per row": (
        "_weight_qdata F8_E4M3 14336 4096; _weight_scale F32 14336 1",
        Hints(),
        ("torchao", 8, None, GATE, "exact"),
    ),
    "float8, names without an underscore": (
        "weight_qdata F8_E4M3 14336 4096; weight_scale F32 1 1",
        Hints(),
        ("torchao", 8, None, GATE, "exact"),
    ),
    "int8 per row": (
        "_weight_qdata I8 14336 4096; _weight_scale BF16 14336",
        Hints(),
        ("torchao", 8, None, GATE, "exact"),
    ),
    "fewer bits in whole bytes": (
        "_weight_qdata I8 14336 4096; _weight_scale BF16 14336 128; _weight_zero_point I8 14336 128",
        Hints(bits=4),
        ("torchao", 4, 32, GATE, "exact"),
    ),
    "int4": (
        "_weight_qdata I8 14336 2048; _weight_scale BF16 32 14336; _weight_zero_point BF16 32 14336",
        Hints(),
        ("torchao", 4, 128, GATE, "exact"),
    ),
    "int4 of experts": (
        "_gate_up_proj_qdata I8 8 14336 2048; _gate_up_proj_scale BF16 8 32 14336",
        Hints(),
        ("torchao", 4, 128, (8, *GATE), "exact"),
    ),
    "int4 in words": (
        "_weight_qdata I32 14336 512; _weight_scale BF16 32 14336; _weight_zero_point I8 32 14336",
        Hints(),
        ("torchao", 4, 128, GATE, "exact"),
    ),
    "int4 in tiles": (
        "_weight_qdata I32 1792 32 32 4; _weight_scale_and_zero BF16 32 14336 2",
        Hints(),
        ("torchao", 4, 128, GATE, "inferred"),
    ),
    "nvfp4": (
        "_weight_qdata U8 14336 2048; _weight_scale F8_E4M3 14336 256; _weight_per_tensor_scale F32",
        Hints(),
        ("torchao", 4, 16, GATE, "exact"),
    ),
    "mxfp4": (
        "_weight_qdata U8 14336 2048; _weight_scale F8_E8M0 14336 128",
        Hints(),
        ("torchao", 4, 32, GATE, "exact"),
    ),
    "mxfp8": (
        "_weight_qdata F8_E4M3 14336 4096; _weight_scale F8_E8M0 14336 128",
        Hints(),
        ("torchao", 8, 32, GATE, "exact"),
    ),
    "bytes of no layout": (
        "_weight_qdata U8 14336 2048; _weight_scale F32 3 3",
        Hints(),
        ("torchao", None, None, None, "inferred"),
    ),
    "words of no layout": (
        "_weight_qdata I32 14336 512; _weight_scale BF16 14336 32",
        Hints(),
        ("torchao", None, None, None, "inferred"),
    ),
    "words with groups that do not divide": (
        "_weight_qdata I32 14336 512; _weight_scale BF16 31 14336",
        Hints(),
        ("torchao", None, None, None, "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_a_flattened_subclass(text: str, hints: Hints, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text, hints))


PROBLEMS = {
    "_weight_qdata I8 30 40; _weight_scale F32 7 1": (
        "_weight_scale (7, 1) does not fit _weight_qdata (30, 40)"
    ),
    "_weight_qdata I8 30 40": "_weight_qdata without weight_scale",
    "_weight_qdata U8 32; _weight_scale F8_E4M3 4": "_weight_qdata (32,): no layout fits",
    "_weight_qdata U8 30 40": "_weight_qdata (30, 40): no layout fits",
}


@pytest.mark.parametrize(("text", "expected"), PROBLEMS.items())
def test_a_contradiction_is_named(text: str, expected: str) -> None:
    assert (expected,) == one(text).problems


def test_the_books_are_known() -> None:
    found = one(
        "_weight_qdata I8 30 40; _weight_scale F32 30; _weight_act_pre_scale F32 40; bias F32 30"
    )

    assert "_weight_qdata" == found.weight
    assert {"_weight_scale", "_weight_act_pre_scale"} == found.auxiliary
