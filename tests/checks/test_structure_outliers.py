"""Layers and experts that are not like their siblings."""

from __future__ import annotations

import pytest

from ckptscan.checks.structure_outliers import CHECKS
from tests.checks.looking import codes, found_in, llama, mixture, without
from tests.conftest import unheld

L = "model.layers"
DOWN = "mlp.down_proj.weight"


CASES = [
    pytest.param(llama(), [], id="S003-uniform"),
    pytest.param(mixture(), [], id="S002-dense-first"),
    pytest.param(llama(range(3)), [], id="S001-three-layers"),
    pytest.param(
        without(llama(), f"{L}.0.input_layernorm"), ["S001 warning"], id="S001-ModernBERT"
    ),
    pytest.param({**llama(), f"{L}.0.bias_table.weight": ("BF16", [32, 8])}, [], id="S001-T5"),
    pytest.param(
        {"head.0.weight": ("F32", [4]), "head.0.bias": ("F32", [4])}, [], id="S001-a-norm"
    ),
    pytest.param(
        {
            f"{L}.{layer}.{name}.weight": ("BF16", [64, 128 if (layer, name) == (0, "fc1") else 96])
            for layer in range(8)
            for name in ("q_proj", "k_proj", "v_proj", "o_proj", "fc1", "fc2")
        },
        [],
        id="S002-the-first-takes-in-a-skip",
    ),
    pytest.param({"merger.mlp.bias": ("F32", [4])}, ["S001 warning"], id="S001-a-bias-alone"),
    pytest.param({"lm_head.bias": ("F32", [4])}, [], id="S001-the-bias-of-a-tied-head"),
    pytest.param(
        {**llama(), "decoder.bias": ("F32", [llama()["model.embed_tokens.weight"][1][0]])},
        [],
        id="S001-one-number-a-token",
    ),
    pytest.param(
        {**without(llama(), f"{L}.0.input_layernorm"), "model.embed_norm.weight": ("BF16", [64])},
        [],
        id="S001-the-embedding-has-a-norm",
    ),
    pytest.param(without(llama(), "gate_proj"), [], id="S001-not-gated"),
    pytest.param(
        without(llama(range(16)), *(f"{L}.{layer}.mlp.up_proj" for layer in range(4, 11))),
        ["S001 error"],
        id="S001-up-lost-in-many-layers",
    ),
    pytest.param(without(llama(), f"{L}.3.self_attn"), ["S001 error"], id="S001-attention"),
    pytest.param(without(llama(), f"{L}.3.{DOWN}"), ["S001 error"], id="S001-middle"),
    pytest.param(without(llama(), f"{L}.0.{DOWN}"), ["S001 error"], id="S001-first"),
    pytest.param(without(llama(), f"{L}.7.{DOWN}"), ["S001 error"], id="S001-last"),
    pytest.param(without(mixture(), f"{L}.5.self_attn.q_proj"), ["S001 error"], id="S001-mixture"),
    pytest.param({**llama(), f"{L}.3.extra.weight": ("BF16", [4])}, ["S001 error"], id="S001-more"),
    pytest.param(
        {**llama(), f"{L}.3.{DOWN}": ("BF16", [64, 128])}, ["S002 error"], id="S002-a-shape"
    ),
    pytest.param(
        {**llama(), f"{L}.0.{DOWN}": ("BF16", [64, 128])}, ["S002 error"], id="S002-first-shape"
    ),
    pytest.param(
        {**mixture(), f"{L}.0.{DOWN}": ("BF16", [64, 128])}, ["S002 error"], id="S002-dense-torn"
    ),
    pytest.param(
        {**llama(), f"{L}.3.{DOWN}": ("F32", [64, 256])}, ["S003 warning"], id="S003-cast"
    ),
    pytest.param(
        without(mixture(), f"{L}.5.mlp.experts.3.up_proj"), ["S006 error"], id="S006-an-expert"
    ),
    pytest.param(without(mixture(), f"{L}.5.mlp.experts.3."), [], id="S006-S005's"),
]


@pytest.mark.parametrize(("tensors", "expected"), CASES)
def test_the_odd_one_is_found(
    tensors: dict[str, tuple[str, list[int]]], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors)


def test_two_damaged_layers_are_both_found() -> None:
    tensors = without(llama(range(16)), f"{L}.3.{DOWN}", f"{L}.9.self_attn.k_proj")

    found = found_in(CHECKS, unheld(tensors))

    assert [("3",), ("9",)] == sorted(one.where[0].indices for one in found)


def test_a_finding_names_the_place_and_both_sides() -> None:
    tensors = without(mixture(), f"{L}.5.mlp.experts.3.up_proj", f"{L}.6.mlp.experts.3.up_proj")

    found = found_in(CHECKS, unheld(tensors))

    assert {"model.layers.*.mlp.experts.*.up_proj.weight"} == {
        one.where[0].pattern for one in found
    }
    assert ("5-6", "3") == found[0].where[0].indices
    assert {"up_proj.weight": "BF16 (32, 64)"} == found[0].evidence["expected"]
    assert {"up_proj.weight": "absent"} == found[0].evidence["seen"]


def test_a_hybrid_of_periods_is_no_fault_and_its_odd_layer_is() -> None:
    tensors = llama(range(16))
    for layer in range(3, 16, 4):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            tensors[f"{L}.{layer}.mixer.{name}_in.weight"] = tensors.pop(
                f"{L}.{layer}.self_attn.{name}.weight"
            )

    assert [] == codes(CHECKS, tensors)
    assert ["S001 error"] == codes(CHECKS, without(tensors, f"{L}.7.mixer.k_proj_in"))
