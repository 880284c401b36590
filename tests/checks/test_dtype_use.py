"""Dtypes that cost memory or break kernels."""

from __future__ import annotations

import pytest

from ckptscan.checks.dtype_use import CHECKS
from tests.checks.looking import codes, float8, llama

NORMS = {n: ("F32", shape) for n, (_, shape) in llama().items() if "norm" in n}
LARGE = {"model.embed_tokens.weight": ("F32", [200_000, 8_192])}


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        pytest.param(llama(), [], id="BF16"),
        pytest.param({**llama(), **NORMS}, [], id="norms in F32"),
        pytest.param({n: ("F32", shape) for n, (_, shape) in llama().items()}, [], id="small F32"),
        pytest.param(LARGE, ["D001 warning"], id="large F32"),
        pytest.param(
            {**llama(), "lm_head.weight": ("F32", [1024, 64])}, ["D001 warning"], id="F32 head"
        ),
        pytest.param({**llama(), "ids": ("I64", [9])}, ["D002 info"], id="I64"),
        pytest.param({**llama(), "x.bias": ("F16", [9])}, [], id="an F16 bias"),
        pytest.param(
            {**llama(), "lm_head.weight": ("F16", [1024, 64])}, ["D003 warning"], id="F16 head"
        ),
        pytest.param(
            {**llama(), **NORMS, "model.layers.3.input_layernorm.weight": ("BF16", [64])},
            ["D004 warning"],
            id="one norm",
        ),
        pytest.param(float8(llama()), ["D005 info"], id="FP8"),
    ],
)
def test_dtypes(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors)
