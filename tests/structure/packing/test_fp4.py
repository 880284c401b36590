"""NVFP4 and MXFP4 under the names of their writers."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
CASES = {
    "nvfp4 of ModelOpt": (
        "weight U8 14336 2048; weight_scale F8_E4M3 14336 256; weight_scale_2 F32; input_scale F32",
        ("nvfp4", 4, 16, GATE, "exact"),
    ),
    "nvfp4 of compressed-tensors": (
        "weight_packed U8 14336 2048; weight_scale F8_E4M3 14336 256; weight_global_scale F32 1",
        ("nvfp4", 4, 16, GATE, "exact"),
    ),
    "nvfp4 with scales in tiles": (
        "weight U8 3000 1544; weight_scale F8_E4M3 3072 196; weight_scale_2 F32",
        ("nvfp4", 4, 16, (3000, 3088), "exact"),
    ),
    "nvfp4 of experts, turned": (
        "gate_up_proj U8 16 2560 16384; gate_up_proj_weight_scale F8_E4M3 16 320 16384; "
        "gate_up_proj_weight_scale_2 F32; gate_up_proj_input_scale F32",
        ("nvfp4", 4, 16, (16, 5120, 16384), "exact"),
    ),
    "nvfp4 of experts": (
        "w13_weight U8 8 28672 2048; w13_weight_scale F8_E4M3 8 28672 256",
        ("nvfp4", 4, 16, (8, 28672, 4096), "exact"),
    ),
    "nvfp4 in the dtype F4": (
        "weight F4 14336 4096; weight_scale F8_E4M3 14336 512",
        ("nvfp4", 4, 16, GATE, "exact"),
    ),
    "mxfp4 of gpt-oss": (
        "down_proj_blocks U8 32 2880 90 16; down_proj_scales U8 32 2880 90; down_proj_bias BF16 32 2880",
        ("mxfp4", 4, 32, (32, 2880, 2880), "exact"),
    ),
    "mxfp4 of gpt-oss, original names": (
        "mlp1_weight.blocks U8 32 5760 90 16; mlp1_weight.scales U8 32 5760 90; mlp1_bias BF16 32 5760",
        ("mxfp4", 4, 32, (32, 5760, 2880), "exact"),
    ),
    "mxfp4 of compressed-tensors": (
        "weight_packed U8 14336 2048; weight_scale U8 14336 128",
        ("mxfp4", 4, 32, GATE, "exact"),
    ),
    "mxfp4 of Quark": (
        "weight U8 14336 2048; weight_scale F8_E8M0 14336 128",
        ("mxfp4", 4, 32, GATE, "exact"),
    ),
    "fp4 in I8 of DeepSeek-V4": (
        "weight I8 2048 3584; scale F8_E8M0 2048 224",
        ("fp4-e8m0", 4, 32, (2048, 7168), "exact"),
    ),
    "bytes with a scale that does not fit": (
        "weight_packed U8 14336 2048; weight_scale F8_E4M3 14336 100; weight_global_scale F32 1",
        ("nvfp4", 4, None, GATE, "inferred"),
    ),
    "bytes without a scale": (
        "weight_packed U8 14336 2048",
        ("fp4", 4, None, GATE, "inferred"),
    ),
    "blocks with other scales": (
        "blocks U8 2 4 8 16; scales U8 2 4 9",
        ("mxfp4", 4, 32, (2, 4, 256), "inferred"),
    ),
    "blocks without scales": (
        "blocks U8 2 4 8 16",
        ("mxfp4", 4, 32, (2, 4, 256), "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_two_values_a_byte(text: str, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text))


PROBLEMS = {
    "weight_packed U8 14336 2048; weight_scale F8_E4M3 14336 100": (
        "weight_scale (14336, 100) does not fit weight_packed (14336, 2048)"
    ),
    "weight_packed U8 14336 2048": "weight_packed without weight_scale",
    "x_blocks U8 2 4 8 16; x_scales U8 2 4 9": (
        "x_scales (2, 4, 9) does not fit x_blocks (2, 4, 8, 16)"
    ),
    "blocks U8 2 4 8 16": "blocks without scales",
}


@pytest.mark.parametrize(("text", "expected"), PROBLEMS.items())
def test_a_contradiction_is_named(text: str, expected: str) -> None:
    assert (expected,) == one(text).problems


def test_a_node_of_experts_has_a_packing_for_each_weight() -> None:
    found = unpack(
        leaves(
            "gate_up_proj_blocks U8 32 5760 90 16; gate_up_proj_scales U8 32 5760 90; "
            "gate_up_proj_bias BF16 32 5760; down_proj_blocks U8 32 2880 90 16; "
            "down_proj_scales U8 32 2880 90; down_proj_bias BF16 32 2880"
        )
    )

    assert [
        ("gate_up_proj_blocks", {"gate_up_proj_scales"}, 32 * 5760 * 2880),
        ("down_proj_blocks", {"down_proj_scales"}, 32 * 2880 * 2880),
    ] == [(each.weight, set(each.auxiliary), each.numel) for each in found]


@pytest.mark.parametrize("text", ["blocks U8 4 16; scales U8 4", "blocks F32 2 4 8 16"])
def test_what_only_looks_like_blocks_is_none(text: str) -> None:
    assert () == unpack(leaves(text), Hints())
