"""Weights that are looked up: AQLM, VPTQ, SpQR, HIGGS."""

from __future__ import annotations

import pytest

from ckptscan.structure.packing import Hints, unpack
from tests.structure.packing.making import leaves, one, said

GATE = (14336, 4096)
AQLM = "codes I16 14336 512 1; codebooks F16 1 65536 1 8; scales F16 14336 1 1 1"
VPTQ = "indices I32 1 1792 4096; centroids.weight F16 1 524288; res_centroids.weight F16 1 2048"
CASES = {
    "aqlm, 1 x 16": (AQLM, Hints(), ("aqlm", 2, None, GATE, "exact")),
    "aqlm, 2 x 8": (
        "codes I8 14336 512 2; codebooks F16 2 256 1 8; scales F16 14336 1 1 1",
        Hints(),
        ("aqlm", 2, None, GATE, "exact"),
    ),
    "aqlm, no whole number of bits": (
        "codes I8 14336 512 1; codebooks F16 1 4096 1 8; scales F16 14336 1 1 1",
        Hints(),
        ("aqlm", None, None, GATE, "exact"),
    ),
    "aqlm, turned for a CPU": (
        "codes I8 512 14336 2; codebooks F16 2 256 1 8; scales F16 14336 1 1 1",
        Hints(),
        ("aqlm", 2, None, GATE, "exact"),
    ),
    "aqlm without scales": (
        "codes I8 14336 512 2; codebooks F16 2 256 1 8",
        Hints(),
        ("aqlm", 2, None, GATE, "exact"),
    ),
    "vptq, nothing tells out": (
        f"{VPTQ}; weight_scale F16 4096; weight_bias F16 4096; perm I64 4096",
        Hints(),
        ("vptq", None, None, None, "inferred"),
    ),
    "vptq, the bias tells": (
        f"{VPTQ}; perm I64 4096; bias F16 14336",
        Hints(),
        ("vptq", None, None, GATE, "inferred"),
    ),
    "vptq, the hidden size tells": (
        f"{VPTQ}; weight_scale F16 14336",
        Hints(hidden=4096, faces_out=True),
        ("vptq", None, None, (4096, 14336), "inferred"),
    ),
    "vptq, no side": (VPTQ, Hints(), ("vptq", None, None, None, "inferred")),
    "spqr": (
        "dense_weights I64 1048576; row_offsets I32 4097; col_vals I32 999; in_perm I32 4096",
        Hints(),
        ("spqr", 3, 16, (4096, 4096), "exact"),
    ),
    "spqr without in_perm": (
        "dense_weights I64 1048576; row_offsets I32 4097; col_vals I32 999",
        Hints(),
        ("spqr", 3, 16, (4096, 4096), "inferred"),
    ),
    "spqr with other offsets": (
        "dense_weights I64 1048576; row_offsets I32 900; col_vals I32 999; in_perm I32 4096",
        Hints(),
        ("spqr", 3, 16, None, "inferred"),
    ),
    "higgs": (
        "weight I16 3584 4096; scales F16 14336 16; tables F16 16; tables2 F32 16 16 1",
        Hints(),
        ("higgs", 4, 256, GATE, "exact"),
    ),
    "higgs that does not fit": (
        "weight I16 3584 4096; scales F16 100 16; tables F16 16",
        Hints(),
        ("higgs", 4, 256, (100, 4096), "inferred"),
    ),
    "higgs with an empty table": (
        "weight I16 3584 4096; scales F16 14336 16; tables F16 0",
        Hints(),
        ("higgs", None, 256, GATE, "inferred"),
    ),
}


@pytest.mark.parametrize(("text", "hints", "expected"), CASES.values(), ids=CASES)
def test_a_weight_that_is_looked_up(text: str, hints: Hints, expected: tuple[object, ...]) -> None:
    assert expected == said(one(text, hints))


PROBLEMS = {
    "codes I8 30 40 2; codebooks F16 2 256 1 8; scales F16 7 1 1 1": (
        "scales (7, 1, 1, 1) does not fit codes (30, 40, 2)"
    ),
    "codes I8 30 40 2; codebooks F16 1 256 1 8; scales F16 30 1 1 1": (
        "codebooks (1, 256, 1, 8) does not fit codes (30, 40, 2)"
    ),
    "weight I16 3584 4096; scales F16 100 16; tables F16 16": (
        "scales (100, 16) does not fit weight (3584, 4096)"
    ),
}


@pytest.mark.parametrize(("text", "expected"), PROBLEMS.items())
def test_a_contradiction_is_named(text: str, expected: str) -> None:
    assert (expected,) == one(text).problems


@pytest.mark.parametrize(
    "text",
    [
        "codes I8 30 40; codebooks F16 2 256 1 8",
        "codebooks F16 2 256 1 8",
        "indices I32 4 4",
        "dense_weights I64 64",
        "weight I16 4 4; scales F16 4; tables F16 16",
        "weight I16 4 4",
    ],
)
def test_what_only_looks_like_codes_is_none(text: str) -> None:
    assert () == unpack(leaves(text))
