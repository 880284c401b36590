"""Names that tell how a checkpoint was saved."""

from __future__ import annotations

import json

import pytest

from ckptscan.checks.structure_names import CHECKS
from ckptscan.structure import describe
from tests.checks.looking import CONFIG, codes, found_in, llama, lora
from tests.conftest import checkpoint_of

BUFFER = {"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [4])}
LARGE_BUFFER = {"model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [1 << 19])}
WRAPPED = {f"_orig_mod.{name}": held for name, held in llama().items()}


CASES = [
    pytest.param(llama(), [], id="S010-plain"),
    pytest.param(lora(), [], id="S007-an-adapter-is-wrapped-by-design"),
    pytest.param(WRAPPED, ["S007 warning"], id="S007-torch.compile"),
    pytest.param({"bert.LayerNorm.weight": ("F32", [4])}, [], id="S008-today's-names"),
    pytest.param(
        {"bert.LayerNorm.gamma": ("F32", [4]), "bert.LayerNorm.beta": ("F32", [4])},
        ["S008 warning"],
        id="S008-gamma",
    ),
    pytest.param({"mid.norm.gamma": ("F32", [4, 1, 1])}, [], id="S008-a-norm-of-channels"),
    pytest.param({"mid.norm.gamma": ("F32", [4])}, [], id="S008-a-root-mean-square"),
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


def test_an_adapter_of_any_kind_is_wrapped_by_design() -> None:
    names = [f"base_model.model.layers.{layer}.attn.k_proj.any_vector" for layer in range(4)]
    files = {
        "adapter_config.json": json.dumps({"peft_type": "ANY"}).encode(),
        "adapter_model.safetensors": {name: ("F32", [64]) for name in names},
    }

    assert [] == [one.code for one in found_in(CHECKS, describe(checkpoint_of(files)))]
