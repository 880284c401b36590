"""Biases of zeros that a quantizer added are book-keeping; those of the architecture stay."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.conftest import Tensors, unheld

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 64}
PROJECTIONS = ("self_attn.q_proj", "mlp.gate_proj", "mlp.up_proj")


def packed(*names: str, bias: bool = True) -> Tensors:
    """Linears of 64 -> 64, in words of GPTQ."""
    leaves: Tensors = {
        "qweight": ("I32", [8, 64]),
        "scales": ("F16", [1, 64]),
        "qzeros": ("I32", [1, 8]),
    }
    if bias:
        leaves = {**leaves, "bias": ("F16", [64])}
    return {
        f"model.layers.0.{name}.{leaf}": spec for name in names for leaf, spec in leaves.items()
    }


NORM: Tensors = {"model.layers.0.input_layernorm.weight": ("F16", [64])}
ALL = packed(*PROJECTIONS) | NORM
# tensors, config -> biases that count, of 64 each
BIASES: Mapping[str, tuple[Tensors, dict[str, object], int]] = {
    "added to all": (ALL, {}, 0),
    "declared": (ALL, {"attention_bias": True}, 3),
    "declared as absent": (ALL, {"attention_bias": False}, 0),
    "q's own in its family": (ALL, {"model_type": "qwen2"}, 1),
    "not on all": (packed(*PROJECTIONS[:2]) | packed("mlp.up_proj", bias=False) | NORM, {}, 2),
    "norms have one too": (ALL | {"model.layers.0.input_layernorm.bias": ("F16", [64])}, {}, 4),
    "no gate": (packed("mlp.fc1", "mlp.fc2"), {}, 2),
}


@pytest.mark.parametrize(("tensors", "config", "counted"), BIASES.values(), ids=BIASES)
def test_biases_that_no_norm_and_no_config_has_are_not_counted(
    tensors: Tensors, config: dict[str, object], counted: int
) -> None:
    structure = unheld(tensors, config={"quantization_config": GPTQ, **config})
    weights = sum(64 * 64 for name in tensors if name.endswith("qweight"))
    norms = 64 * sum(name.endswith("norm.weight") for name in tensors)
    parameters = structure.parameters

    assert weights + norms + 64 * counted == parameters.logical
    biases = sum(name.endswith(".bias") for name in tensors)
    books = sum(64 + 8 for name in tensors if name.endswith("scales"))
    assert books + 64 * (biases - counted) == parameters.quantization
