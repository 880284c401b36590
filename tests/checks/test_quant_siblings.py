"""Projections that engines fuse."""

from __future__ import annotations

import pytest

from ckptscan.checks.quant_siblings import CHECKS
from tests.checks.looking import CONFIG, codes, float8, llama, without

PLAIN = {name: held for name, held in llama().items() if "o_proj" in name or "k_proj" in name}
O_PLAIN = {name: held for name, held in PLAIN.items() if "o_proj" in name}
K_PLAIN = {name: held for name, held in PLAIN.items() if "k_proj" in name}


CASES = [
    pytest.param(llama(), [], id="Q008-plain"),
    pytest.param(float8(llama()), [], id="Q008-alike"),
    pytest.param({**without(float8(llama()), "o_proj"), **O_PLAIN}, [], id="Q008-o-stands-alone"),
    pytest.param(
        {**without(float8(llama()), "k_proj"), **K_PLAIN}, ["Q008 warning"], id="Q008-k-is-plain"
    ),
]


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_fused_projections(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG)
