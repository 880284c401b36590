"""What tensors mean, as people and programs read it: headline, sums, formula, modules."""

from __future__ import annotations

import json

import pytest

from ckptscan.report import Layout, report
from ckptscan.structure import Structure
from tests.conftest import Tensors, unheld

MOE: Tensors = {
    "model.embed_tokens.weight": ("BF16", [100, 8]),
    "model.norm.weight": ("BF16", [8]),
    **{
        name.format(layer=layer, expert=expert): ("BF16", shape)
        for layer in range(2)
        for expert in range(4)
        for name, shape in {
            "model.layers.{layer}.input_layernorm.weight": [8],
            "model.layers.{layer}.self_attn.q_proj.weight": [8, 8],
            "model.layers.{layer}.self_attn.k_proj.weight": [4, 8],
            "model.layers.{layer}.self_attn.v_proj.weight": [4, 8],
            "model.layers.{layer}.self_attn.o_proj.weight": [8, 8],
            "model.layers.{layer}.mlp.gate.weight": [4, 8],
            "model.layers.{layer}.mlp.experts.{expert}.up_proj.weight": [16, 8],
            "model.layers.{layer}.mlp.experts.{expert}.down_proj.weight": [8, 16],
        }.items()
    },
}
TIED: Tensors = {
    "model.embed_tokens.weight": ("BF16", [100, 8]),
    "model.norm.weight": ("BF16", [8]),
    "lm_head.weight": ("BF16", [100, 8]),
}


def text(structure: Structure, view: str, format_name: str = "text") -> str:
    return "\n".join(report(structure, format_name, Layout(view=view)))


def line(structure: Structure, name: str) -> str:
    """The line of the head that begins with a name."""
    lines = text(structure, "tree").split("\n")
    return next((one.strip() for one in lines if one.strip().startswith(name)), "")


def test_what_config_does_not_tell_is_unknown() -> None:
    structure = unheld(MOE, config={"architectures": ["XForCausalLM"]})

    assert "active     unknown: config does not tell how many of 4 experts a token takes" == line(
        structure, "active"
    )
    assert "config.json does not tell the experts a token takes" in text(structure, "parameters")
    assert "attention  GQA 2:1, heads unknown [inferred]" == line(structure, "attention")


def test_what_config_tells_stands_with_its_label() -> None:
    said = {
        "architectures": ["XForCausalLM"],
        "num_experts_per_tok": [1, 2],
        "num_attention_heads": 2,
        "layer_types": ["sliding_attention", "full_attention"],
        "tie_word_embeddings": True,
    }
    structure = unheld(MOE, config=said)

    assert "a token, of 4 experts [config]" in line(structure, "active")
    assert "config    by layer" in text(structure, "parameters")
    assert "config: sliding_attention 0; full_attention 1" in text(structure, "attention")
    assert "head shares the embedding [config]" in line(structure, "parameters")
    assert "lm_head" in text(structure, "parameters")


def test_a_head_stored_twice_is_counted_once_and_taken_off_in_the_formula() -> None:
    structure = unheld(TIED, config={"tie_word_embeddings": True})

    assert "parameters 808; 8 non-embedding; head stored twice [config]" == line(
        structure, "parameters"
    )
    assert text(structure, "formula").startswith("100*8 + 8 + 100*8 - 800 = 808")
    assert "&- 800 && \\text{stored twice, counted once}" in text(structure, "formula", "latex")
    assert "| stored twice, counted once | | -800 | |" in text(structure, "formula", "markdown")


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        (808, "808 by index total_parameters, equals logical"),
        (1608, "1,608 by index total_parameters, equals stored elements"),
        (5, "5 by index total_parameters, equals no sum"),
    ],
)
def test_a_declared_count_is_shown_with_the_sum_that_equals_it(claimed: int, said: str) -> None:
    index = {
        "metadata": {"total_parameters": claimed},
        "weight_map": dict.fromkeys(TIED, "model.safetensors"),
    }
    structure = unheld(
        TIED, config={"tie_word_embeddings": True}, **{"model.safetensors.index": index}
    )

    assert f"declared   {said}" == line(structure, "declared")
    assert f"{claimed:,}" in text(structure, "parameters")


PACKED: Tensors = {
    "a.weight_packed": ("I32", [8, 3]),
    "a.weight_scale": ("F16", [8, 1]),
    "a.weight_shape": ("I64", [2]),
}


def test_a_packed_weight_of_unknown_shape_is_said_to_be_one() -> None:
    structure = unheld(PACKED)
    counted = json.loads(text(structure, "tree", "json"))["parameters"]

    assert "1 tensor packed, logical shape unknown" in line(structure, "parameters")
    assert "1 tensor packed, logical shape unknown" in text(structure, "formula")
    assert "packed tensors of unknown shape" in text(structure, "parameters")
    assert (None, None, 1) == (
        counted["logical"],
        counted["non_embedding"],
        counted["unknown_tensors"],
    )
    assert "QuantLinear(?, ?, " in text(structure, "modules")


def test_a_state_space_model_has_its_kind() -> None:
    tensors: Tensors = {
        f"backbone.layers.{layer}.mixer.{name}": ("F32", shape)
        for layer in range(4)
        for name, shape in {
            "A_log": [16, 4],
            "D": [16],
            "in_proj.weight": [32, 8],
            "conv1d.weight": [16, 1, 4],
            "x_proj.weight": [12, 16],
            "dt_proj.weight": [16, 4],
            "out_proj.weight": [8, 16],
        }.items()
    }
    structure = unheld(tensors)

    assert "attention  SSM" == line(structure, "attention")
    assert "backbone.layers 0-3: SSM" in text(structure, "attention")


def test_the_formula_depth_is_cut() -> None:
    structure = unheld(MOE)
    whole = text(structure, "formula")
    cut = "\n".join(report(structure, "text", Layout(view="formula", depth=1)))

    assert len(cut) < len(whole)
    assert cut.split("\n")[0] == whole.split("\n")[0]


def test_an_empty_model_has_a_formula() -> None:
    structure = unheld({"position_ids": ("I64", [4])})

    assert text(structure, "formula").startswith("0 = 0")


def test_quantization_as_json() -> None:
    tensors: Tensors = {
        "a.qweight": ("I32", [512, 64]),
        "a.qzeros": ("I32", [32, 8]),
        "a.scales": ("F16", [32, 64]),
        "a.g_idx": ("I32", [4096]),
    }
    found = json.loads(text(unheld(tensors), "tree", "json"))["quantization"]

    assert found["formula"]
    assert {
        "scheme": "gptq",
        "bits": 4,
        "group_size": 128,
        "block": None,
        "label": "exact",
        "weights": 1,
        "elements": 262_144,
        "bytes": 131_072 + 1_024 + 4_096 + 16_384,
        "bits_per_weight": 4.6562,
        "declared": None,
    } == {key: value for key, value in found.items() if key not in ("formula", "schemes")}
