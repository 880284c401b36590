"""GPTQ, AWQ, Marlin: which side is packed, and at what width."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
# name -> leaves, hints, (scheme, bits, group, shape, label)
CASES = {
    "gptq 4 bits": (
        "qweight I32 512 14336; qzeros I32 32 1792; scales F16 32 14336; g_idx I32 4096",
        Hints(),
        ("gptq", 4, 128, GATE, "exact"),
    ),
    "gptq 8 bits, a scale a channel": (
        "qweight I32 1024 14336; qzeros I32 1 3584; scales F16 1 14336; g_idx I32 4096",
        Hints(method="gptq", bits=8, group=-1),
        ("gptq", 8, None, GATE, "exact"),
    ),
    "gptq 3 bits": (
        "qweight I32 384 14336; qzeros I32 32 1344; scales F16 32 14336; g_idx I32 4096",
        Hints(),
        ("gptq", 3, 128, GATE, "exact"),
    ),
    "gptq 2 bits, group 64": (
        "qweight I32 256 1024; qzeros I32 64 64; scales F16 64 1024; g_idx I32 4096",
        Hints(),
        ("gptq", 2, 64, (1024, 4096), "exact"),
    ),
    "gptq, padded to a whole group": (
        "qweight I32 19 64; qzeros I32 2 8; scales F16 2 64; g_idx I32 150",
        Hints(),
        ("gptq", 4, 128, (64, 150), "exact"),
    ),
    "gptq in words of 8 bits": (
        "qweight I8 2048 512; qzeros I8 32 256; scales F16 32 512; g_idx I32 4096",
        Hints(),
        ("gptq", 4, 128, (512, 4096), "exact"),
    ),
    "gptq without g_idx": (
        "qweight I32 512 14336; qzeros I32 32 1792; scales F16 32 14336",
        Hints(),
        ("gptq", 4, 128, GATE, "exact"),
    ),
    "gptq 3 bits without g_idx": (
        "qweight I32 1344 4096; qzeros I32 112 384; scales F16 112 4096",
        Hints(),
        ("gptq", 3, 128, (4096, 14336), "exact"),
    ),
    "gptq with an empty g_idx": (
        "qweight I32 512 14336; qzeros I32 32 1792; scales F16 32 14336; g_idx I32 0",
        Hints(),
        ("gptq", 4, 128, GATE, "exact"),
    ),
    "gptq without g_idx and qzeros, the hidden size tells": (
        "qweight I32 512 14336; scales F16 32 14336",
        Hints(hidden=4096, faces_out=False),
        ("gptq", 4, 128, GATE, "inferred"),
    ),
    "gptq without g_idx and qzeros, the config tells": (
        "qweight I32 1792 4096; scales F16 112 4096",
        Hints(bits=4, hidden=4096, faces_out=True),
        ("gptq", 4, 128, (4096, 14336), "config"),
    ),
    "gptq without anything": (
        "qweight I32 512 14336; scales F16 32 14336",
        Hints(),
        ("gptq", None, None, None, "inferred"),
    ),
    "gptq of so few inputs that the width is open": (
        "qweight I32 1 64; qzeros I32 1 8; scales F16 1 64; g_idx I32 6",
        Hints(),
        ("gptq", 4, None, (64, 6), "exact"),
    ),
    "gptq of so few inputs, without qzeros": (
        "qweight I32 1 64; scales F16 1 64; g_idx I32 6",
        Hints(),
        ("gptq", None, None, (64, 6), "exact"),
    ),
    "gptq of so few inputs, with a config": (
        "qweight I32 1 64; scales F16 1 64; g_idx I32 6",
        Hints(bits=4),
        ("gptq", 4, None, (64, 6), "exact"),
    ),
    "gptq of stacked experts": (
        "w13_qweight I32 8 512 28672; w13_qzeros I32 8 32 3584; w13_scales F16 8 32 28672; "
        "w13_g_idx I32 8 4096",
        Hints(),
        ("gptq", 4, 128, (8, 28672, 4096), "exact"),
    ),
    "awq": (
        "qweight I32 4096 1792; qzeros I32 32 1792; scales F16 32 14336",
        Hints(method="awq", bits=4, group=128),
        ("awq", 4, 128, GATE, "exact"),
    ),
    "awq of a square matrix": (
        "qweight I32 4096 512; qzeros I32 32 512; scales F16 32 4096",
        Hints(),
        ("awq", 4, 128, (4096, 4096), "exact"),
    ),
    "awq of stacked experts": (
        "qweight I32 64 2048 176; qzeros I32 64 16 176; scales F16 64 16 1408",
        Hints(),
        ("awq", 4, 128, (64, 1408, 2048), "exact"),
    ),
    "paroquant is awq and a rotation": (
        "qweight I32 4096 512; qzeros I32 32 512; scales F16 32 4096; theta F16 8 2048; "
        "pairs I16 8 4096; channel_scales F16 1 4096",
        Hints(),
        ("awq", 4, 128, (4096, 4096), "exact"),
    ),
    "awq for gemv": (
        "qweight I32 14336 512; qzeros I32 14336 4; scales F16 14336 32",
        Hints(),
        ("awq-gemv", 4, 128, GATE, "exact"),
    ),
    "awq for gemv, groups of 32 that read like marlin": (
        "qweight I32 14336 512; qzeros I32 14336 16; scales F16 14336 128",
        Hints(group=32),
        ("awq-gemv", 4, 32, GATE, "exact"),
    ),
    "awq for fast gemv": (
        "qweight I16 3584 4096; qzeros F16 32 14336; scales F16 32 14336",
        Hints(),
        ("awq-gemv-fast", 4, 128, GATE, "exact"),
    ),
    "awq for fast gemv with odd padding": (
        "qweight I16 3584 4096; qzeros F16 33 14336; scales F16 33 14336",
        Hints(),
        ("awq-gemv-fast", 4, None, GATE, "exact"),
    ),
    "marlin under awq's names": (
        "qweight I32 256 28672; scales F16 32 14336",
        Hints(method="awq"),
        ("marlin", 4, 128, GATE, "exact"),
    ),
    "marlin of 8 bits": (
        "qweight I32 256 57344; scales F16 1 14336",
        Hints(),
        ("marlin", 8, None, GATE, "exact"),
    ),
    "marlin of AutoGPTQ": (
        "B I32 256 28672; s F16 32 14336",
        Hints(),
        ("marlin", 4, 128, GATE, "exact"),
    ),
    "qqq": (
        "B I32 256 28672; s_channel F32 1 14336; s_group F16 32 14336",
        Hints(),
        ("qqq", 4, 128, GATE, "exact"),
    ),
    "qqq, a scale a channel": (
        "B I32 256 28672; s_channel F32 1 14336; s_group F16 0",
        Hints(),
        ("qqq", 4, None, GATE, "exact"),
    ),
    "fp-quant": (
        "qweight U8 14336 2048; scales U8 14336 128; forward_hadamard_matrix BF16 32 32",
        Hints(),
        ("fp-quant", 4, 32, GATE, "exact"),
    ),
    "nothing but a qweight": (
        "qweight I32 512 4096",
        Hints(method="gptq", bits=4),
        ("gptq", None, None, None, "inferred"),
    ),
    "no method and no scales": (
        "qweight U8 100",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "scales that are no matrix of floats by rows": (
        "qweight I32 512 4096; scales F16 32 1000; qzeros I32 32 500",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "scales that awq's words can't serve": (
        "qweight I32 4096 512; scales F16 32 4097",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "gemv with odd padding": (
        "qweight I32 14336 512; qzeros I32 14336 5; scales F16 14336 40",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "words of 16 bits that are not interleaved": (
        "qweight I16 3584 4096; qzeros F16 32 500; scales F16 32 500",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "bytes in groups of 8": (
        "qweight U8 64 64; scales U8 64 16",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "a float called qweight": (
        "qweight F16 512 4096; scales F16 32 4096",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "scales of another stack": (
        "qweight I32 8 512 4096; scales F16 4 32 4096; g_idx I32 8 7",
        Hints(),
        ("gptq", None, None, None, "inferred"),
    ),
    "gptq of no width": (
        "qweight I32 512 14336; scales F16 5000 14336",
        Hints(bits=4),
        ("gptq", None, None, None, "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_the_layout_and_width_of_words(
    text: str, hints: Hints, expected: tuple[object, ...]
) -> None:
    assert expected == said(one(text, hints))


PROBLEMS = {
    "no scales": (
        "qweight I32 512 4096; g_idx I32 4096",
        Hints(),
        "qweight without scales",
    ),
    "scales of another width": (
        "qweight I32 512 4096; qzeros I32 32 512; scales F16 32 1024; g_idx I32 4096",
        Hints(),
        "scales (32, 1024) does not fit qweight (512, 4096)",
    ),
    "zeros of another width": (
        "qweight I32 512 4096; qzeros I32 32 1024; scales F16 32 4096; g_idx I32 4096",
        Hints(),
        "qzeros (32, 1024) does not fit qweight (512, 4096)",
    ),
    "zeros of another width, without g_idx": (
        "qweight I32 512 4096; qzeros I32 32 4096; scales F16 32 4096",
        Hints(bits=4),
        "qzeros (32, 4096) does not fit qweight (512, 4096)",
    ),
    "zeros of another width, awq": (
        "qweight I32 4096 512; qzeros I32 32 500; scales F16 32 4096",
        Hints(),
        "qzeros (32, 500) does not fit qweight (4096, 512)",
    ),
    "no layout": (
        "w2_qweight I32 512 4096; w2_scales F16 32 1000",
        Hints(),
        "w2_scales (32, 1000) does not fit w2_qweight (512, 4096)",
    ),
    "config of another width": (
        "qweight I32 512 4096; qzeros I32 32 512; scales F16 32 4096; g_idx I32 4096",
        Hints(bits=8),
        "config says 8 bits, the tensors have 4",
    ),
    "config of another scheme": (
        "qweight I32 4096 512; qzeros I32 32 512; scales F16 32 4096",
        Hints(method="gptq"),
        "config says gptq, qweight (4096, 512) is laid out as awq",
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_contradiction_is_named(text: str, hints: Hints, expected: str) -> None:
    assert (expected,) == one(text, hints).problems


def test_the_books_of_a_weight_are_known_and_its_bias_is_none() -> None:
    found = one(
        "qweight I32 512 4096; qzeros I32 32 512; scales F16 32 4096; g_idx I32 4096; "
        "bias F16 4096; k_scale F32"
    )

    assert "qweight" == found.weight
    assert {"qzeros", "scales", "g_idx", "k_scale"} == found.auxiliary


def test_the_formula_says_where_the_numbers_come_from() -> None:
    found = one("qweight I32 384 8; scales F16 32 8; g_idx I32 4096; qzeros I32 32 1")

    assert "in = 4,096 entries of g_idx; bits = 32 x 384 / 4,096 = 3" == found.formula


@pytest.mark.parametrize(
    "text", ["B I32 256 28672", "B I32 256 100; s F16 32 14336", "s F16 2 2", "B F16 4; s F16 4"]
)
def test_what_only_looks_like_marlin_is_none(text: str) -> None:
    assert () == unpack(leaves(text))
