"""Names that tell how a checkpoint was saved."""

from __future__ import annotations

import pytest

from ckptscan.checks.structure_names import CHECKS
from tests.checks.looking import CONFIG, codes, llama, lora

BUFFER = {"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [4])}
LARGE_BUFFER = {"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [1 << 19])}
WRAPPED = {f"_orig_mod.{name}": held for name, held in llama().items()}


CASES = [
    pytest.param(llama(), [], id="S010-plain"),
    pytest.param(lora(), [], id="S007-an-adapter-is-wrapped-by-design"),
    pytest.param(WRAPPED, ["S007 warning"], id="S007-torch.compile"),
    pytest.param({"bert.LayerNorm.weight": ("F32", [4])}, [], id="S008-today's-names"),
    pytest.param({"bert.LayerNorm.gamma": ("F32", [4])}, ["S008 warning"], id="S008-gamma"),
    pytest.param({"layers.0.gamma": ("F32", [4])}, [], id="S008-layer-scale"),
    pytest.param({"conv.weight_g": ("F32", [4, 1, 1])}, ["S008 info"], id="S008-weight-norm"),
    pytest.param(
        {**llama(), "bn.running_mean": ("F32", [4])}, [], id="S010-what-training-averaged"
    ),
    pytest.param({**llama(), **BUFFER}, ["S010 info"], id="S010-a-buffer"),
    pytest.param({**llama(), **LARGE_BUFFER}, [], id="S010-a-large-one-is-E006's"),
]


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_names(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG)
