"""What has no formula, or contradicts it, is told in words."""

from __future__ import annotations

import json

import pytest

from ckptscan.content.dequantize import (
    Lines,
    NoFormula,
    Stored,
    dequantized,
    formula_of,
    needed,
    some_lines,
)
from ckptscan.structure.packing import Hints, Packing, bundle_of, unpack
from tests.structure.packing.making import leaves

STATE = "weight.quant_state.bitsandbytes__nf4"


def stored_as(text: str, hints: Hints) -> Stored:
    kinds = leaves(text)
    packing = unpack(kinds, hints)[0]
    bundle = bundle_of(kinds, packing.weight)
    return Stored(bundle, packing._replace(problems=()))


def tried(stored: Stored) -> None:
    """All steps, with bytes of zeros."""
    for lines in some_lines(stored, 2):
        raw = {part.leaf: bytes(part.length) for part in needed(stored, lines)}
        dequantized(stored, lines, raw)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("B I32 16 128; s F16 2 64", "no formula of marlin"),
        ("weight F8_E4M3 0 64; weight_scale F32 1", "no elements"),
        ("qweight I32 40 64; scales F16 4 64; qzeros I32 4 10; g_idx I32 256", "how 5 bits lie"),
        ("qweight I32 256 12; scales F16 2 128; qzeros I32 2 12", "codes of 3 bits"),
        ("codes I8 4 8 2; codebooks F16 2 256 1 8; scales F16 8 1 1 1", "are turned"),
        ("W_q U8 8 128; zero F16 16 1", "not known"),
        ("weight U8 16 64; weight_scale U8 1 64", "packed along out"),
        ("weight_qdata U8 64 128; weight_scale F32 4 64", "not of 8 bits"),
        ("qweight I32 32 64; qzeros I32 4 8; g_idx I32 256", "no scales"),
        ("weight.absmax F32 100; weight U8 512 1; weight.quant_map F32 16", "not known"),
    ],
)
def test_what_has_no_formula(text: str, said: str) -> None:
    with pytest.raises(NoFormula, match=said):
        tried(stored_as(text, Hints(hidden=64, faces_out=False)))


NF4 = f"weight U8 2048 1; weight.quant_map F32 16; {STATE} U8 90"
NESTED = f"{NF4}; weight.absmax U8 64; weight.nested_absmax F32 1"


def read_as(stored: Stored, byte: bytes, others: dict[str, bytes]) -> None:
    """The first lines, of the same byte all over but for some tensors."""
    raw = {part.leaf: byte * part.length for part in needed(stored, Lines(0, 4))}
    dequantized(stored, Lines(0, 4), raw | others)


def nf4(text: str) -> Stored:
    kinds = leaves(text)
    hints = Hints(peeked={STATE: {"shape": [64, 64]}})
    packing = unpack(kinds, hints)[0]
    bundle = bundle_of(kinds, packing.weight)
    return Stored(bundle, packing)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{NF4.replace('16;', '4;')}; weight.absmax F32 64", "quant_map has too few"),
        (f"{NESTED}; weight.nested_quant_map F32 8", "nested_absmax has too few"),
        (f"{NF4.replace('U8 90', 'U8 70000')}; weight.absmax F32 64", "too large for what it is"),
        (f"{NF4}; weight.absmax F32 63", "blocks is not known"),
        (NESTED, "there is no weight.nested_quant_map"),
    ],
)
def test_tables_of_bitsandbytes_that_are_too_small(text: str, said: str) -> None:
    stored = nf4(text)
    state = json.dumps({"nested_offset": 0.5, "nested_blocksize": 256}).encode()

    with pytest.raises(NoFormula, match=said):
        read_as(stored, b"\xff", {STATE: state.ljust(90)})


def test_nested_statistics_need_their_state() -> None:
    text = NESTED.replace(f"{STATE} U8 90; ", "") + "; weight.nested_quant_map F32 256"
    stored = nf4(NESTED + "; weight.nested_quant_map F32 256")
    kinds = leaves(text)
    bundle = bundle_of(kinds, "weight")
    bare = Stored(bundle, stored.packing)
    raw = {part.leaf: bytes(part.length) for part in needed(bare, Lines(0, 4))}

    with pytest.raises(NoFormula, match="without a quant_state"):
        dequantized(bare, Lines(0, 4), raw)


def test_a_tensor_that_is_smaller_than_its_shape_says() -> None:
    kinds = leaves("weight F8_E4M3 64 64; weight_scale F32 1")
    packing = unpack(kinds)[0]
    bundle = bundle_of(kinds | {"weight": kinds["weight"]._replace(nbytes=100)}, "weight")

    with pytest.raises(NoFormula, match="too small for its weight"):
        needed(Stored(bundle, packing), Lines(60, 64))


def test_the_formula_of_a_contradiction_is_the_contradiction() -> None:
    kinds = leaves("weight F8_E4M3 64 64; weight_scale F32 7 5")
    packing = unpack(kinds)[0]
    bundle = bundle_of(kinds, "weight")

    with pytest.raises(NoFormula, match="does not fit"):
        formula_of(Stored(bundle, packing))


@pytest.mark.parametrize(
    ("text", "packing", "said"),
    [
        ("W_q U8 2 8 16; scale F16 64 1", Packing("hqq", 4, 64, (64, 8), 512, "W_q"), "no matrix"),
        ("W_q U8 8 64; scale F16 64 1", Packing("hqq", 4, 64, (64, 99), 1, "W_q"), "not as many"),
        ("W_q U8 8 64", Packing("hqq", 4, 64, (16, 64), 1024, "W_q"), "quantized themselves"),
        ("W_q U8 8 64; scale F16 5", Packing("hqq", 4, 64, (16, 64), 1, "W_q"), "no row or column"),
        (
            "weight._data U8 8 64; weight._scale F16 16 1",
            Packing("quanto", 4, 64, (16, 64), 1024, "weight._data"),
            "there is no shift",
        ),
        (
            "weight I8 8 64; weight_scale F32",
            Packing("int8", 8, None, (8, 65), 1, "weight"),
            "one a",
        ),
        (
            "weight_packed I32 64 8; weight_scale F16 64 2; weight_zero_point I32 8 1",
            Packing("pack-quantized", 4, 32, (64, 64), 4096, "weight_packed"),
            "same groups",
        ),
        (
            "qweight I32 8 64; scales F16 2 64",
            Packing("gptq", None, 32, (64, 64), 4096, "qweight"),
            "bits are not known",
        ),
        ("weight F6_E2M3 8 6", Packing("mxfp6", 6, None, (8, 6), 48, "weight"), "no whole bytes"),
        ("weight U32 8 6; scales U8 8 1", Packing("mlx", 3, 64, (8, 64), 1, "weight"), "no biases"),
        ("weight F8_E4M3 8 8", Packing("bnb-int8", 8, None, (8, 8), 64, "weight"), "no SCB"),
    ],
)
def test_tensors_that_are_not_as_the_packing_says(text: str, packing: Packing, said: str) -> None:
    bundle = bundle_of(leaves(text), packing.weight)

    with pytest.raises(NoFormula, match=said):
        tried(Stored(bundle, packing))


def test_an_index_of_groups_that_there_are_not() -> None:
    kinds = leaves("weight I8 8 64; weight_scale F32 8 2; weight_g_idx I32 64")
    bundle = bundle_of(kinds, "weight")
    stored = Stored(bundle, unpack(kinds)[0])

    with pytest.raises(NoFormula, match="groups that there are not"):
        read_as(stored, b"\7", {})
