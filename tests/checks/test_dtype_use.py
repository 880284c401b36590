"""Dtypes that cost memory or break kernels."""

from __future__ import annotations

import pytest

from ckptscan.checks.dtype_use import CHECKS
from tests.checks.looking import codes, float8, llama

NORMS = {n: ("F32", shape) for n, (_, shape) in llama().items() if "norm" in n}
LARGE = {"model.embed_tokens.weight": ("F32", [200_000, 8_192])}


CASES = [
    pytest.param(llama(), [], id="D005-BF16"),
    pytest.param({**llama(), **NORMS}, [], id="D004-norms-in-F32"),
    pytest.param({n: ("F32", shape) for n, (_, shape) in llama().items()}, [], id="D001-small-F32"),
    pytest.param(LARGE, ["D001 warning"], id="D001-large-F32"),
    pytest.param(
        {**llama(), "lm_head.weight": ("F32", [1024, 64])}, ["D001 warning"], id="D001-F32-head"
    ),
    pytest.param({**llama(), "ids": ("I32", [9])}, [], id="D002-I32"),
    pytest.param({**llama(), "ids": ("I64", [9])}, ["D002 info"], id="D002-I64"),
    pytest.param({**llama(), "x.bias": ("F16", [9])}, [], id="D003-an-F16-bias"),
    pytest.param(
        {**llama(), "lm_head.weight": ("F16", [1024, 64])}, ["D003 warning"], id="D003-F16-head"
    ),
    pytest.param(
        {**llama(), **NORMS, "model.layers.3.input_layernorm.weight": ("BF16", [64])},
        ["D004 warning"],
        id="D004-one-norm",
    ),
    pytest.param(float8(llama()), ["D005 info"], id="D005-FP8"),
]


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_dtypes(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors)
