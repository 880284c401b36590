"""Rows of words: compressed-tensors' integers, Marlin 2:4, MLX."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
DOWN = (4096, 14336)
W4 = "weight_packed I32 14336 512; weight_scale BF16 14336 32; weight_shape I64 2"
MLX4 = "weight U32 14336 512; scales BF16 14336 64; biases BF16 14336 64"
PEEKED = Hints(peeked={"weight_shape": (14336, 4096)})

CASES = {
    "int4, shape read": (W4, PEEKED, ("pack-quantized", 4, 128, GATE, "peeked")),
    "int4, a list read": (
        W4,
        Hints(peeked={"weight_shape": [14336, 4096]}),
        ("pack-quantized", 4, 128, GATE, "peeked"),
    ),
    "int4, config": (W4, Hints(bits=4), ("pack-quantized", 4, 128, GATE, "config")),
    "int4, config has the group alone": (
        W4,
        Hints(group=128),
        ("pack-quantized", 4, 128, GATE, "config"),
    ),
    "int8, the same words": (W4, Hints(bits=8), ("pack-quantized", 8, 64, (14336, 2048), "config")),
    "int4, the hidden size tells": (
        W4,
        Hints(hidden=4096, faces_out=False),
        ("pack-quantized", 4, 128, GATE, "inferred"),
    ),
    "int4, the hidden size without a side": (
        W4,
        Hints(hidden=4096),
        ("pack-quantized", 4, 128, GATE, "inferred"),
    ),
    "int4, the hidden size is on the other side": (
        W4,
        Hints(hidden=4096, faces_out=True),
        ("pack-quantized", None, None, None, "inferred"),
    ),
    "int4, nothing tells": (W4, Hints(), ("pack-quantized", None, None, None, "inferred")),
    "int4, zero points tell": (
        W4 + "; weight_zero_point I32 1792 32",
        Hints(),
        ("pack-quantized", 4, 128, GATE, "exact"),
    ),
    "int4, g_idx tells": (
        W4 + "; weight_g_idx I32 4096",
        Hints(),
        ("pack-quantized", 4, 128, GATE, "exact"),
    ),
    "int4, a scale a channel": (
        "weight_packed I32 4096 1792; weight_scale BF16 4096 1; weight_shape I64 2",
        Hints(bits=4, group=-1),
        ("pack-quantized", 4, None, DOWN, "config"),
    ),
    "int4, a scale a channel and zero points": (
        "weight_packed I32 4096 1792; weight_scale BF16 4096 1; weight_zero_point I32 512 1",
        Hints(),
        ("pack-quantized", 4, None, DOWN, "inferred"),
    ),
    "int3 in dense words": (
        "weight_packed I32 14336 384; weight_scale BF16 14336 32; weight_shape I64 2",
        Hints(bits=3),
        ("pack-quantized", 3, 128, GATE, "config"),
    ),
    "int4, the last word padded": (
        "weight_packed I32 64 3; weight_scale BF16 64 1; weight_shape I64 2",
        Hints(bits=4, peeked={"weight_shape": (64, 20)}),
        ("pack-quantized", 4, None, (64, 20), "peeked"),
    ),
    "int4, an odd group": (
        "weight_packed I32 64 36; weight_scale BF16 64 3; weight_shape I64 2",
        Hints(bits=4, group=96),
        ("pack-quantized", 4, 96, (64, 288), "config"),
    ),
    "so few inputs that the width stays open": (
        "weight_packed I32 64 1; weight_scale BF16 64 1; weight_shape I64 2",
        Hints(peeked={"weight_shape": (64, 4)}),
        ("pack-quantized", None, None, (64, 4), "peeked"),
    ),
    "int4 of stacked experts": (
        "w13_weight_packed I32 8 28672 512; w13_weight_scale BF16 8 28672 32",
        Hints(bits=4),
        ("pack-quantized", 4, 128, (8, 28672, 4096), "config"),
    ),
    "marlin 2:4": (
        "weight_packed I32 128 28672; scale_packed F16 32 14336; meta I16 14336 256",
        Hints(),
        ("marlin-24", 4, 128, GATE, "exact"),
    ),
    "mlx, config": (MLX4, Hints(bits=4, group=64), ("mlx", 4, 64, GATE, "config")),
    "mlx, another config": (MLX4, Hints(bits=8, group=32), ("mlx", 8, 32, (14336, 2048), "config")),
    "mlx, the hidden size tells": (
        MLX4,
        Hints(hidden=4096, faces_out=False, bits=4, group=64),
        ("mlx", 4, 64, GATE, "inferred"),
    ),
    "mlx, nothing tells": (MLX4, Hints(), ("mlx", None, None, None, "inferred")),
    "mlx, a config that can't be": (
        MLX4,
        Hints(bits=5, group=64),
        ("mlx", None, None, None, "inferred"),
    ),
    "mlx, 3 bits in groups of 64": (
        "weight U32 4096 384; scales BF16 4096 64; biases BF16 4096 64",
        Hints(bits=3),
        ("mlx", 3, 64, (4096, 4096), "config"),
    ),
    "mlx, 10 words are nothing else": (
        "weight U32 4096 640; scales BF16 4096 64; biases BF16 4096 64",
        Hints(),
        ("mlx", 5, 64, (4096, 4096), "exact"),
    ),
    "mlx, stacked experts": (
        "weight U32 64 768 256; scales BF16 64 768 32; biases BF16 64 768 32",
        Hints(bits=4),
        ("mlx", 4, 64, (64, 768, 2048), "config"),
    ),
    "mlx in mode nvfp4": (
        "weight U32 4096 512; scales U8 4096 256",
        Hints(),
        ("mlx", 4, 16, (4096, 4096), "exact"),
    ),
    "mlx in mode mxfp4": (
        "weight U32 4096 512; scales U8 4096 128",
        Hints(),
        ("mlx", 4, 32, (4096, 4096), "exact"),
    ),
    "mlx in mode mxfp8": (
        "weight U32 4096 1024; scales U8 4096 128",
        Hints(),
        ("mlx", 8, 32, (4096, 4096), "exact"),
    ),
    "metal names the biases otherwise": (
        "weight U32 4096 512; scales F32 4096 32; qbiases F32 4096 32",
        Hints(bits=4, group=128),
        ("mlx", 4, 128, (4096, 4096), "config"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_the_width_of_rows_of_words(text: str, hints: Hints, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text, hints))


PROBLEMS = {
    "peeked rows": (
        W4,
        Hints(bits=4, peeked={"weight_shape": (4096, 4096)}),
        "weight_shape says (4096, 4096), weight_packed (14336, 512) holds other",
    ),
    "peeked columns": (
        W4,
        Hints(bits=4, peeked={"weight_shape": (14336, 40960)}),
        "weight_shape says (14336, 40960), weight_packed (14336, 512) holds other",
    ),
    "peeked shape of one axis": (
        W4,
        Hints(bits=4, peeked={"weight_shape": (4096,)}),
        "weight_shape says (4096,), weight_packed (14336, 512) holds other",
    ),
    "no scale": (
        "weight_packed I32 14336 512",
        Hints(bits=4),
        "weight_packed without weight_scale",
    ),
    "a scale of other rows": (
        "weight_packed I32 14336 512; weight_scale BF16 4096 32",
        Hints(bits=4),
        "weight_scale (4096, 32) does not fit weight_packed (14336, 512)",
    ),
    "config against the hidden size": (
        W4,
        Hints(bits=8, hidden=4096, faces_out=False),
        "config says 8 bits, the tensors have 4",
    ),
    "mlx scales of other rows": (
        "weight U32 14336 512; scales BF16 4096 64; biases BF16 4096 64",
        Hints(bits=4, group=64),
        "scales (4096, 64) does not fit weight (14336, 512)",
    ),
    "mlx scales that do not divide": (
        "weight U32 14336 512; scales BF16 14336 60; biases BF16 14336 60",
        Hints(bits=4, group=64),
        "scales (14336, 60) does not fit weight (14336, 512)",
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_contradiction_is_named(text: str, hints: Hints, expected: str) -> None:
    assert (expected,) == one(text, hints).problems


def test_a_shape_that_contradicts_is_not_used() -> None:
    found = one(W4, Hints(bits=4, peeked={"weight_shape": (14336, 40960)}))

    assert (GATE, "config") == (found.shape, found.label)


@pytest.mark.parametrize("value", [None, "4096", (4096, "x"), (0, 4), (True, 4), (2,) * 9, {}])
def test_what_is_peeked_may_be_anything(value: object) -> None:
    found = one(W4, Hints(bits=4, peeked={"weight_shape": value}))

    assert (GATE, "config", ()) == (found.shape, found.label, found.problems)


@pytest.mark.parametrize(
    "text",
    [
        "weight_packed F32 4 4; weight_scale F32 4 1",
        "weight_packed I32 4; weight_scale F32 4 1",
        "weight_packed I32 128 28672; scale_packed F16 4",
        "weight_packed I32 128 1000; scale_packed F16 32 14336",
        "weight U32 4 4",
        "weight I32 4 4; scales F16 4 1",
        "weight BF16 4 4; scales F16 4 1; biases F16 4 1",
    ],
)
def test_what_only_looks_packed_is_none(text: str) -> None:
    assert () == unpack(leaves(text))


def test_the_books_are_known() -> None:
    text = "weight_global_scale F32 1; input_global_scale F32 1; weight_g_idx I32 4096"

    found = one(f"{W4}; {text}; bias BF16 14336")

    assert {
        "weight_scale",
        "weight_shape",
        "weight_g_idx",
        "weight_global_scale",
        "input_global_scale",
    } == found.auxiliary
