"""A weight and a scale: FP8, INT8, EETQ, BitNet, ModelOpt's int4."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
STACK = (128, 4096, 2048)
F8 = "weight F8_E4M3 14336 4096"
CASES = {
    "fp8 without a scale": (F8, Hints(), ("fp8", 8, None, GATE, "exact")),
    "fp8 per tensor": (
        f"{F8}; weight_scale BF16 1; input_scale BF16 1",
        Hints(),
        ("fp8", 8, None, GATE, "exact"),
    ),
    "fp8 per tensor, a scalar": (
        f"{F8}; weight_scale F32",
        Hints(),
        ("fp8", 8, None, GATE, "exact"),
    ),
    "fp8 per channel": (
        f"{F8}; weight_scale BF16 14336 1",
        Hints(),
        ("fp8", 8, None, GATE, "exact"),
    ),
    "fp8 per channel, one axis": (
        f"{F8}; weight_scale F32 14336",
        Hints(),
        ("fp8", 8, None, GATE, "exact"),
    ),
    "fp8 per input": (f"{F8}; weight_scale F32 4096", Hints(), ("fp8", 8, None, GATE, "exact")),
    "fp8 per group": (
        f"{F8}; weight_scale F32 14336 32",
        Hints(),
        ("fp8", 8, 128, GATE, "exact"),
    ),
    "fp8 per group of outputs": (
        f"{F8}; weight_scale F32 112 4096",
        Hints(),
        ("fp8", 8, 128, GATE, "exact"),
    ),
    "fp8 of three fused projections": (
        "weight F8_E4M3 6144 4096; weight_scale F32 3",
        Hints(),
        ("fp8", 8, None, (6144, 4096), "exact"),
    ),
    "fp8 of two fused projections": (
        f"{F8}; weight_scale F32 2 1",
        Hints(),
        ("fp8", 8, None, GATE, "exact"),
    ),
    "fp8 in blocks": (
        "weight F8_E4M3 576 7168; weight_scale_inv F32 5 56",
        Hints(),
        ("fp8-block", 8, (128, 128), (576, 7168), "exact"),
    ),
    "fp8 in blocks, fewer rows than a block": (
        "weight F8_E4M3 64 7168; weight_scale_inv F32 1 56",
        Hints(),
        ("fp8-block", 8, (128, 128), (64, 7168), "exact"),
    ),
    "fp8 in blocks, fewer columns than a block": (
        "weight F8_E4M3 7168 64; weight_scale_inv F32 56 1",
        Hints(),
        ("fp8-block", 8, (128, 128), (7168, 64), "exact"),
    ),
    "fp8 in blocks of an odd edge": (
        "weight F8_E4M3 600 4096; weight_scale_inv F32 3 32",
        Hints(),
        ("fp8-block", 8, (256, 128), (600, 4096), "exact"),
    ),
    "fp8 in blocks that only division tells": (
        "weight F8_E4M3 30 40; weight_scale F32 3 4",
        Hints(),
        ("fp8-block", 8, (10, 10), (30, 40), "exact"),
    ),
    "fp8 with exponents in blocks, DeepSeek-V4": (
        "weight F8_E4M3 1536 7168; scale F8_E8M0 12 56",
        Hints(),
        ("fp8-block", 8, (128, 128), (1536, 7168), "exact"),
    ),
    "fp8 of musubi": (
        f"{F8}; scale_weight F32 14336 64 1; scale_input F32",
        Hints(),
        ("fp8", 8, 64, GATE, "exact"),
    ),
    "fp8 of ComfyUI": (
        "weight F8_E4M3 3072 3072; scale_weight F32; scale_input F32; comfy_quant U8 30",
        Hints(),
        ("fp8", 8, None, (3072, 3072), "exact"),
    ),
    "fp8 of FBGEMM": (
        "weight F8_E4M3 4096 4096; weight_scale F32 4096 1; input_scale_ub F32 1",
        Hints(),
        ("fp8", 8, None, (4096, 4096), "exact"),
    ),
    "fp8 of a convolution": (
        "weight F8_E4M3 320 4 3 3; scale_weight F32",
        Hints(),
        ("fp8", 8, None, (320, 4, 3, 3), "exact"),
    ),
    "fp8 e5m2 of a vector": ("weight F8_E5M2 320", Hints(), ("fp8", 8, None, (320,), "exact")),
    "fp8 of a vector with a scale": (
        "weight F8_E5M2 320; scale_weight F32 5",
        Hints(),
        ("fp8", 8, None, (320,), "exact"),
    ),
    "mxfp8 of compressed-tensors": (
        f"{F8}; weight_scale U8 14336 128",
        Hints(),
        ("mxfp8", 8, 32, GATE, "exact"),
    ),
    "mxfp8 with the exponents' own dtype": (
        f"{F8}; weight_scale F8_E8M0 14336 128",
        Hints(),
        ("mxfp8", 8, 32, GATE, "exact"),
    ),
    "fp8 in groups of 32 floats": (
        f"{F8}; weight_scale F32 14336 128",
        Hints(),
        ("fp8", 8, 32, GATE, "exact"),
    ),
    "fp8 experts in blocks": (
        "gate_up_proj F8_E4M3 128 4096 2048; gate_up_proj_scale_inv F32 128 32 16",
        Hints(),
        ("fp8-block", 8, (128, 128), STACK, "exact"),
    ),
    "fp8 experts of Llama-4, turned": (
        "gate_up_proj F8_E4M3 16 5120 16384; gate_up_proj_scale F32 16 1 16384",
        Hints(),
        ("fp8", 8, None, (16, 5120, 16384), "exact"),
    ),
    "fp8 experts, one scale each": (
        "down_proj F8_E4M3 128 4096 2048; down_proj_scale F32 128",
        Hints(),
        ("fp8", 8, None, STACK, "exact"),
    ),
    "fp8 experts, two scales each": (
        "w13_weight F8_E4M3 128 4096 2048; w13_weight_scale F32 128 2",
        Hints(),
        ("fp8", 8, None, STACK, "exact"),
    ),
    "fp8 experts, a scale an output": (
        "w13_weight F8_E4M3 128 4096 2048; w13_weight_scale F32 128 4096",
        Hints(),
        ("fp8", 8, None, STACK, "exact"),
    ),
    "fp8 experts, a scale an input": (
        "w13_weight F8_E4M3 128 4096 2048; w13_weight_scale F32 128 2048",
        Hints(),
        ("fp8", 8, None, STACK, "exact"),
    ),
    "mxfp6": (
        "weight F6_E3M2 14336 4096; weight_scale F8_E8M0 14336 128",
        Hints(),
        ("mxfp6", 6, 32, GATE, "exact"),
    ),
    "fp4 as its own dtype": ("weight F4 8 8", Hints(), ("fp4", 4, None, (8, 8), "exact")),
    "fp4 as its own dtype with an odd scale": (
        "weight F4 8 8; weight_scale F32 8 2",
        Hints(),
        ("fp4", 4, 4, (8, 8), "exact"),
    ),
    "int8 per channel": (
        "weight I8 14336 4096; weight_scale BF16 14336 1; weight_zero_point I8 14336 1",
        Hints(bits=8),
        ("int8", 8, None, GATE, "exact"),
    ),
    "int8 per group": (
        "weight I8 14336 4096; weight_scale BF16 14336 32",
        Hints(),
        ("int8", 8, 128, GATE, "exact"),
    ),
    "int8 with exponents": (
        "weight I8 14336 4096; weight_scale F8_E8M0 14336 128",
        Hints(),
        ("int8", 8, 32, GATE, "exact"),
    ),
    "eetq stores the transpose": (
        "weight I8 4096 14336; weight_scales F16 14336",
        Hints(),
        ("eetq", 8, None, GATE, "exact"),
    ),
    "bitnet": (
        "weight U8 640 2560; weight_scale BF16 1",
        Hints(),
        ("bitnet", 2, None, (2560, 2560), "inferred"),
    ),
    "bitnet, config": (
        "weight U8 1728 2560; weight_scale BF16 1",
        Hints(method="bitnet"),
        ("bitnet", 2, None, (6912, 2560), "config"),
    ),
    "bitnet, config and the hidden size": (
        "weight U8 640 6912; weight_scale BF16 1",
        Hints(method="bitnet", hidden=2560, faces_out=True),
        ("bitnet", 2, None, (2560, 6912), "inferred"),
    ),
    "int4 of ModelOpt": (
        "weight U8 7168 4096; weight_scale F16 14336 32; pre_quant_scale F16 4096",
        Hints(),
        ("modelopt-int4", 4, 128, GATE, "exact"),
    ),
    "bytes of integers, config": (
        "weight U8 14336 2048; weight_scale F16 14336 32",
        Hints(bits=4),
        ("int4", 4, 128, GATE, "config"),
    ),
    "bytes of integers, the hidden size tells": (
        "weight U8 14336 4096; weight_scale F16 14336 1",
        Hints(hidden=4096, faces_out=False),
        ("int8", 8, None, GATE, "inferred"),
    ),
    "bytes of integers, nothing tells": (
        "weight U8 14336 2048; weight_scale F16 14336 32",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "bytes with a scale that does not fit": (
        "weight U8 14336 2048; weight_scale F16 14336 33",
        Hints(),
        ("packed", None, None, None, "inferred"),
    ),
    "bytes with half of nvfp4's scales": (
        "weight U8 14336 2048; weight_scale F8_E4M3 7168 256; weight_scale_2 F32",
        Hints(),
        ("nvfp4", 4, None, GATE, "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_a_weight_and_its_scale(text: str, hints: Hints, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text, hints))


PROBLEMS = {
    f"{F8}; weight_scale F32 7": "weight_scale (7,) does not fit weight (14336, 4096)",
    f"{F8}; weight_scale F32 4096 14336": (
        "weight_scale (4096, 14336) does not fit weight (14336, 4096)"
    ),
    f"{F8}; weight_scale F32 14336 2 2": (
        "weight_scale (14336, 2, 2) does not fit weight (14336, 4096)"
    ),
    "weight F8_E4M3 30 40; weight_scale F32 3 7": "weight_scale (3, 7) does not fit weight (30, 40)",
    "x F8_E4M3 4 30 40; x_scale F32 4 7": "x_scale (4, 7) does not fit x (4, 30, 40)",
    "x F8_E4M3 4 30 40; x_scale F32 5 7": "x_scale (5, 7) does not fit x (4, 30, 40)",
    "weight I8 30 40; weight_scale F32 7 1": "weight_scale (7, 1) does not fit weight (30, 40)",
    "weight U8 30 40; weight_scale F32 7 1": "weight_scale (7, 1) does not fit weight (30, 40)",
    "weight U8 30 40; weight_scale F32 30 7": "weight_scale (30, 7) does not fit weight (30, 40)",
    "weight U8 30 40; weight_scale F32 7": "weight_scale (7,) does not fit weight (30, 40)",
    "weight U8 30 40; weight_scale F8_E4M3 7 1; weight_scale_2 F32": (
        "weight_scale (7, 1) does not fit weight (30, 40)"
    ),
}


@pytest.mark.parametrize(("text", "expected"), PROBLEMS.items())
def test_a_scale_that_does_not_fit_is_named(text: str, expected: str) -> None:
    assert (expected,) == one(text).problems


@pytest.mark.parametrize(
    "text",
    [
        "weight BF16 4096 4096; bias BF16 4096",
        "weight BF16 4096; scale F32 1",
        "weight I8 4096 4096",
        "weight U8 4096 4096",
        "weight U8 4096; weight_scale F32 1",
        "weight I64 2; weight_scale F32 1",
        "weight F32 4; weight_scale F32 1",
        "scaled_fp8 F8_E4M3 2",
        "weight_scale F8_E4M3 4096 256",
        "gate_up_proj_weight_scale F8_E4M3 4096 256",
        "scale F8_E8M0 4 4",
        "k_scale F32; v_scale F32",
        "A_log F32 8; D F32 8; dt_bias F32 8; sinks BF16 64; logit_scale F32",
        "",
    ],
)
def test_what_is_not_quantized_is_none(text: str) -> None:
    assert () == unpack(leaves(text))


def test_the_scales_of_a_cache_and_of_activations_are_books() -> None:
    found = one(f"{F8}; weight_scale F32; input_scale F32; k_scale F32; bias BF16 14336")

    assert {"weight_scale", "input_scale", "k_scale"} == found.auxiliary


def test_bare_parameters_of_eight_bits_are_weights() -> None:
    found = unpack(
        leaves("in_proj_weight F8_E4M3 12 4; sinks F8_E5M2 64; x BF16 4; x_weight BF16 4")
    )

    assert [("in_proj_weight", (12, 4)), ("sinks", (64,))] == [
        (each.weight, each.shape) for each in found
    ]


def test_two_weights_of_one_stem_stay_two() -> None:
    found = unpack(leaves("x F8_E4M3 4 4; x_weight F8_E5M2 8 8"))

    assert ["x", "x_weight"] == [each.weight for each in found]
