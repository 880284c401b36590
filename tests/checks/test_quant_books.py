"""Packed weights and what belongs to them."""

from __future__ import annotations

import pytest

from ckptscan.checks.quant_books import CHECKS
from tests.checks.looking import CONFIG, codes, float8, found_in, gptq, llama, mixture, without
from tests.conftest import unheld

L = "model.layers"
UP = f"{L}.3.mlp.up_proj"
EXPERT = f"{L}.5.mlp.experts.3.up_proj"
CALIBRATED = {
    **float8(mixture()),
    **{
        f"{L}.{layer}.mlp.experts.{expert}.up_proj.input_scale": ("F32", [1])
        for layer in range(1, 8)
        for expert in range(8)
    },
}
STACK = {f"{L}.0.mlp.experts.up_proj_blocks": ("U8", [8, 32, 2, 16])}


CASES = [
    pytest.param(llama(), [], id="Q005-plain"),
    pytest.param(float8(llama()), [], id="Q003-FP8"),
    pytest.param(gptq(llama()), [], id="Q001-GPTQ"),
    pytest.param(without(gptq(llama()), "g_idx"), [], id="Q001-without-g_idx-everywhere"),
    pytest.param(without(float8(llama()), "_scale"), [], id="Q003-unit-scales"),
    pytest.param({"attn.k_scale": ("F32", [1])}, [], id="Q002-scale-of-a-cache"),
    pytest.param({"norm.scale": ("F32", [8])}, [], id="Q002-a-norm's-scale"),
    pytest.param(without(gptq(llama()), f"{UP}.g_idx"), ["Q001 error"], id="Q001-one-g_idx"),
    pytest.param(without(gptq(llama()), "scales"), ["Q001 error"], id="Q001-no-scales"),
    pytest.param(STACK, ["Q001 error"], id="Q001-blocks-alone"),
    pytest.param(without(gptq(llama()), f"{UP}.qweight"), ["Q002 error"], id="Q002-qzeros-left"),
    pytest.param(
        {**float8(llama()), f"{UP}.weight": ("BF16", [256, 64])}, ["Q002 error"], id="Q002-stale"
    ),
    pytest.param(without(float8(llama()), f"{UP}.weight_scale"), ["Q003 error"], id="Q003-one"),
    pytest.param(
        without(float8(mixture()), f"{EXPERT}.weight_scale"), ["Q003 error"], id="Q003-an-expert's"
    ),
    pytest.param(CALIBRATED, [], id="Q004-calibrated"),
    pytest.param(without(gptq(llama()), "qzeros"), [], id="Q001-a-method-without-zeros"),
    pytest.param(without(CALIBRATED, f"{EXPERT}.input_scale"), ["Q004 error"], id="Q004-inputs"),
    pytest.param(
        {**float8(llama()), f"{UP}.weight_scale": ("BF16", [100, 1])}, ["Q005 error"], id="Q005-odd"
    ),
    pytest.param(
        {**float8(llama()), f"{UP}.weight_scale": ("BF16", [128, 1])},
        ["Q005 error"],
        id="Q005-half",
    ),
]


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_books(tensors: dict[str, tuple[str, list[int]]], expected: list[str]) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG)


def test_zeros_that_the_method_stores_and_nobody_has() -> None:
    said = CONFIG | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    marlin = CONFIG | {"quantization_config": {"quant_method": "gptq", "format": "marlin"}}
    tensors = without(gptq(llama()), "qzeros")

    assert ["Q001 error"] == codes(CHECKS, tensors, config=said)
    assert [] == codes(CHECKS, tensors, config=marlin)


def test_a_missing_scale_is_placed_to_the_expert() -> None:
    (lost,) = found_in(CHECKS, unheld(without(float8(mixture()), f"{EXPERT}.weight_scale")))

    assert ("5", "3") == lost.where[0].indices
    assert "model.layers.*.mlp.experts.*.up_proj.weight_scale" == lost.where[0].pattern
    assert "weight_scale BF16 (32, 1)" == lost.evidence["expected"]
