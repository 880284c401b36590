"""Flattened weights: bitsandbytes, HQQ, Quanto."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
NF4 = "weight.quant_state.bitsandbytes__nf4"
BYTES = (
    "weight U8 29360128 1; weight.absmax U8 917504; weight.quant_map F32 16; "
    "weight.nested_absmax F32 3584; weight.nested_quant_map F32 256"
)
HQQ = "W_q U8 458752 64; scale F16 917504 1; zero F16 917504 1"
QUANTO = (
    "weight._data._data U8 229376 128; weight._scale BF16 458752 1; weight._shift BF16 458752 1"
)
COLUMNS = "W_q U8 32 917504; scale F16 1 917504; zero F16 1 917504"

CASES = {
    "nf4, shape read": (
        f"{BYTES}; {NF4} U8 173",
        Hints(peeked={NF4: {"shape": [14336, 4096], "blocksize": 64}}),
        ("bnb-nf4", 4, 64, GATE, "peeked"),
    ),
    "nf4, the hidden size tells": (
        f"{BYTES}; {NF4} U8 173",
        Hints(hidden=4096, faces_out=False),
        ("bnb-nf4", 4, 64, GATE, "inferred"),
    ),
    "nf4, the hidden size on the other side": (
        f"{BYTES}; {NF4} U8 173",
        Hints(hidden=4096, faces_out=True),
        ("bnb-nf4", 4, 64, (4096, 14336), "inferred"),
    ),
    "nf4, nothing tells": (f"{BYTES}; {NF4} U8 173", Hints(), ("bnb-nf4", 4, 64, None, "exact")),
    "nf4, a hidden size that does not divide": (
        f"{BYTES}; {NF4} U8 173",
        Hints(hidden=4095, faces_out=True),
        ("bnb-nf4", 4, 64, None, "exact"),
    ),
    "nf4, no side": (
        f"{BYTES}; {NF4} U8 173",
        Hints(hidden=4096),
        ("bnb-nf4", 4, 64, None, "exact"),
    ),
    "nf4 of a square matrix": (
        f"weight U8 8388608 1; weight.absmax U8 262144; {NF4} U8 172",
        Hints(hidden=4096),
        ("bnb-nf4", 4, 64, (4096, 4096), "inferred"),
    ),
    "nf4, the bias tells": (
        f"{BYTES}; {NF4} U8 173; bias BF16 14336",
        Hints(),
        ("bnb-nf4", 4, 64, GATE, "inferred"),
    ),
    "fp4": (
        "weight U8 29360128 1; weight.absmax F32 458752; weight.quant_state.bitsandbytes__fp4 U8 80",
        Hints(),
        ("bnb-fp4", 4, 128, None, "exact"),
    ),
    "nf4 kept in another dtype": (
        f"weight BF16 14680064 1; weight.absmax U8 917504; {NF4} U8 173",
        Hints(),
        ("bnb-nf4", 4, 64, None, "exact"),
    ),
    "nf4 of an odd number, the last value padded": (
        f"weight U8 5 1; weight.absmax F32 1; {NF4} U8 173",
        Hints(peeked={NF4: {"shape": (3, 3)}}),
        ("bnb-nf4", 4, 64, (3, 3), "peeked"),
    ),
    "4 bits without a state": (BYTES, Hints(), ("bnb-4bit", 4, 64, None, "exact")),
    "8 bits in blocks": (
        "weight U8 4096 1; weight.absmax F32 7; weight.quant_map F32 256",
        Hints(),
        ("bnb-8bit", 8, None, None, "exact"),
    ),
    "nf4 of experts is no matrix": (
        "gate_up_proj U8 1024 1; gate_up_proj.absmax F32 32; "
        "gate_up_proj.quant_state.bitsandbytes__nf4 U8 80",
        Hints(hidden=32, faces_out=True),
        ("bnb-nf4", 4, 64, None, "exact"),
    ),
    "int8": (
        "weight I8 14336 4096; SCB F32 14336; weight_format U8",
        Hints(),
        ("bnb-int8", 8, None, GATE, "exact"),
    ),
    "hqq, 4 bits": (HQQ, Hints(), ("hqq", 4, 64, None, "exact")),
    "hqq, the hidden size tells": (
        HQQ,
        Hints(hidden=4096, faces_out=False, bits=4),
        ("hqq", 4, 64, GATE, "inferred"),
    ),
    "hqq, shape read": (
        f"{HQQ}; shape I64 2",
        Hints(peeked={"shape": [14336, 4096]}),
        ("hqq", 4, 64, GATE, "peeked"),
    ),
    "hqq, 2 bits": (
        "W_q U8 229376 64; scale F16 917504 1; zero F16 917504 1",
        Hints(),
        ("hqq", 2, 64, None, "exact"),
    ),
    "hqq, 8 bits": (
        "W_q U8 917504 64; scale F16 917504 1",
        Hints(),
        ("hqq", 8, 64, None, "exact"),
    ),
    "hqq, 5 bits are stored as 8": (
        "W_q U8 917504 64; scale F16 917504 1",
        Hints(bits=5),
        ("hqq", 5, 64, None, "exact"),
    ),
    "hqq, 1 bit": ("W_q U8 8 64; scale F16 64 1", Hints(), ("hqq", 1, 64, None, "exact")),
    "hqq, 3 bits, ten a word": (
        "W_q I32 91751 64; scale F16 917504 1",
        Hints(),
        ("hqq", 3, 64, None, "exact"),
    ),
    "hqq, seen as floats": (
        "W_q BF16 458752 32; scale F16 917504 1",
        Hints(),
        ("hqq", 4, 64, None, "exact"),
    ),
    "hqq, no groups": (
        "W_q U8 7168 4096; scale F16 14336 1",
        Hints(),
        ("hqq", 4, None, GATE, "inferred"),
    ),
    "hqq, columns are groups": (COLUMNS, Hints(), ("hqq", None, None, None, "inferred")),
    "hqq, columns are groups, config": (COLUMNS, Hints(bits=4), ("hqq", 4, 64, None, "config")),
    "hqq, columns are groups, shape read": (
        COLUMNS,
        Hints(peeked={"shape": GATE}),
        ("hqq", 4, 64, GATE, "peeked"),
    ),
    "hqq, columns are groups, 3 bits": (
        "W_q I32 7 917504; scale F16 1 917504",
        Hints(),
        ("hqq", 3, 64, None, "exact"),
    ),
    "hqq, rows kept": (
        "W_q U8 14336 2048; scale F16 14336 64; zero F16 14336 64",
        Hints(bits=4, group=64),
        ("hqq", 4, 64, GATE, "config"),
    ),
    "hqq, rows kept, the hidden size tells": (
        "W_q U8 14336 2048; scale F16 14336 64; zero F16 14336 64",
        Hints(hidden=4096, faces_out=False),
        ("hqq", 4, 64, GATE, "inferred"),
    ),
    "hqq, rows kept, nothing tells": (
        "W_q U8 14336 2048; scale F16 14336 64; zero F16 14336 64",
        Hints(),
        ("hqq", None, None, None, "inferred"),
    ),
    "hqq without a scale": ("W_q U8 4 4", Hints(), ("hqq", None, None, None, "inferred")),
    "quanto, 8 bits": (
        "weight._data I8 14336 4096; weight._scale BF16 14336 1; input_scale BF16; output_scale BF16",
        Hints(),
        ("quanto", 8, None, GATE, "exact"),
    ),
    "quanto, 4 bits": (QUANTO, Hints(), ("quanto", 4, 128, None, "exact")),
    "quanto, 4 bits under one name": (
        QUANTO.replace("._data._data", "._data"),
        Hints(hidden=4096, faces_out=False),
        ("quanto", 4, 128, GATE, "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_a_flattened_weight(text: str, hints: Hints, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text, hints))


@pytest.mark.parametrize("text", [f"{BYTES}; {NF4} U8 173", HQQ, QUANTO])
def test_the_number_of_weights_is_exact_without_a_shape(text: str) -> None:
    found = one(text, Hints(hidden=4096, faces_out=False))

    assert (14336 * 4096, "inferred", "exact") == (found.numel, found.label, found.numel_label)


PROBLEMS = {
    "a peeked shape of other size": (
        f"{BYTES}; {NF4} U8 173",
        Hints(peeked={NF4: {"shape": [4096, 4096]}}),
        f"{NF4} says (4096, 4096), weight (29360128, 1) holds 58,720,256 values",
    ),
    "SCB of other rows": (
        "weight I8 14336 4096; SCB F32 4096",
        Hints(),
        "SCB (4096,) does not fit weight (14336, 4096)",
    ),
    "a peeked shape of other size, hqq": (
        HQQ,
        Hints(peeked={"shape": (4096, 4096)}),
        "shape says (4096, 4096), W_q (458752, 64) holds other",
    ),
    "a peeked shape of no width, hqq": (
        COLUMNS,
        Hints(peeked={"shape": (4096, 4096)}),
        "shape says (4096, 4096), W_q (32, 917504) holds other",
    ),
    "no scale": ("W_q U8 4 4", Hints(), "W_q without scale"),
}


@pytest.mark.parametrize(("text", "hints", "expected"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_contradiction_is_named(text: str, hints: Hints, expected: str) -> None:
    assert (expected,) == one(text, hints).problems


def test_the_books_are_known() -> None:
    meta = "nbits I32; group_size I32; shape I64 2; axis I32; packing U8 7; compute_dtype U8 13"

    assert {
        "weight.absmax",
        "weight.quant_map",
        "weight.nested_absmax",
        "weight.nested_quant_map",
        NF4,
    } == one(f"{BYTES}; {NF4} U8 173").auxiliary
    assert {"SCB", "weight_format"} == one(
        "weight I8 4 4; SCB F32 4; weight_format U8; bias F16 4"
    ).auxiliary
    assert {
        "scale",
        "zero",
        "nbits",
        "group_size",
        "shape",
        "axis",
        "packing",
        "compute_dtype",
    } == one(f"{HQQ}; {meta}").auxiliary
    assert {"weight._scale", "weight._shift"} == one(QUANTO).auxiliary


@pytest.mark.parametrize("text", ["weight U8 4 4; SCB F32 4", "weight.absmax F32 4", "scale F32 4"])
def test_what_only_looks_flattened_is_none(text: str) -> None:
    assert () == unpack(leaves(text))
