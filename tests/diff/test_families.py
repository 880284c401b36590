"""Models of other families than Llama: layers cut out, repeated, experts pruned, with their data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import numpy as np
import pytest

from tests.conftest import Tensors
from tests.content.making import Arrays, stored, weights
from tests.diff.contents import FULL, diff_of, edited, merged, source, states

WIDTH = 160
LAYERS = 5
EXPERTS = 6
# family -> the names of a layer below its number, their shapes; and tensors outside of layers
NEOX = "gpt_neox.layers.{}", {
    "attention.query_key_value": [3 * WIDTH, WIDTH],
    "attention.dense": [WIDTH, WIDTH],
    "mlp.dense_h_to_4h": [4 * WIDTH, WIDTH],
    "mlp.dense_4h_to_h": [WIDTH, 4 * WIDTH],
    "input_layernorm": [WIDTH],
    "post_attention_layernorm": [WIDTH],
}, {"gpt_neox.embed_in": [300, WIDTH], "embed_out": [300, WIDTH]}  # fmt: skip
T5 = "decoder.block.{}.layer", {
    **{f"0.SelfAttention.{name}": [WIDTH, WIDTH] for name in "qkvo"},
    **{f"1.EncDecAttention.{name}": [WIDTH, WIDTH] for name in "qkvo"},
    "2.DenseReluDense.wi": [4 * WIDTH, WIDTH],
    "2.DenseReluDense.wo": [WIDTH, 4 * WIDTH],
    **{f"{place}.layer_norm": [WIDTH] for place in range(3)},
}, {"shared": [300, WIDTH], "decoder.final_layer_norm": [WIDTH]}  # fmt: skip
VIT = "vit.encoder.layer.{}", {
    **{f"attention.attention.{name}": [WIDTH, WIDTH] for name in ("query", "key", "value")},
    "attention.output.dense": [WIDTH, WIDTH],
    "intermediate.dense": [4 * WIDTH, WIDTH],
    "output.dense": [WIDTH, 4 * WIDTH],
    "layernorm_before": [WIDTH],
    "layernorm_after": [WIDTH],
}, {"vit.layernorm": [WIDTH], "classifier": [10, WIDTH]}  # fmt: skip
DIFFUSION = "transformer_blocks.{}", {
    **{f"attn.{name}": [WIDTH, WIDTH] for name in ("to_q", "to_k", "to_v", "to_out.0")},
    "ff.net.0.proj": [4 * WIDTH, WIDTH],
    "ff.net.2": [WIDTH, 4 * WIDTH],
    "attn.norm_q": [WIDTH],
    "attn.norm_k": [WIDTH],
}, {"x_embedder": [WIDTH, 64], "proj_out": [64, WIDTH]}  # fmt: skip
MIXTRAL = "model.layers.{}", {
    **{f"self_attn.{name}_proj": [WIDTH, WIDTH] for name in "qkvo"},
    "block_sparse_moe.gate": [EXPERTS, WIDTH],
    **{
        f"block_sparse_moe.experts.{expert}.{name}": shape
        for expert in range(EXPERTS)
        for name, shape in (("w1", [96, WIDTH]), ("w2", [WIDTH, 96]), ("w3", [96, WIDTH]))
    },
    "input_layernorm": [WIDTH],
    "post_attention_layernorm": [WIDTH],
}, {"model.embed_tokens": [300, WIDTH], "lm_head": [300, WIDTH]}  # fmt: skip
FAMILIES = {"neox": NEOX, "t5": T5, "vit": VIT, "diffusion": DIFFUSION, "mixtral": MIXTRAL}
EACH = pytest.mark.parametrize("name", FAMILIES)


@cache
def trained(name: str) -> Arrays:
    """A model of a family."""
    place, inner, outer = FAMILIES[name]
    tensors: Tensors = {f"{leaf}.weight": ("BF16", shape) for leaf, shape in outer.items()}
    for layer in range(LAYERS):
        for leaf, shape in inner.items():
            tensors[f"{place.format(layer)}.{leaf}.weight"] = "BF16", shape
    found = weights(tensors, seed=len(name))
    draw = np.random.default_rng(len(name))
    for key, (dtype, array) in found.items():
        if array.ndim == 1:
            found[key] = dtype, stored("BF16", 1 + 0.1 * draw.standard_normal(array.shape))
    return found


def model(name: str, layers: Iterable[int] = range(LAYERS)) -> Arrays:
    """A model of a family, or what a merge makes of it that takes these layers in this order."""
    place, _, outer = FAMILIES[name]
    found = trained(name)
    moved = {
        key.replace(f"{place.format(old)}.", f"{place.format(new)}."): one
        for new, old in enumerate(layers)
        for key, one in found.items()
        if key.startswith(f"{place.format(old)}.")
    }
    return {f"{leaf}.weight": found[f"{leaf}.weight"] for leaf in outer} | moved


@EACH
def test_layers_that_were_cut_out_are_told(name: str) -> None:
    diff = diff_of(source(model(name)), source(model(name, [0, 3, 4])))

    assert "1-2 of A cut out, by their norms" == diff.verdicts[0].text.partition(": ")[2]
    assert "sampled" == diff.verdicts[0].proof
    assert "changed" not in states(diff)


@EACH
def test_layers_that_were_repeated_are_told(name: str) -> None:
    diff = diff_of(source(model(name)), source(model(name, [0, 1, 2, 3, 1, 2, 3, 4])))

    assert "B has 3 layers more (5 -> 8)" in diff.verdicts[0].text
    assert re.search(r"\d-\d of B repeat \d-\d of A, by their norms", diff.verdicts[0].text)
    assert "changed" not in states(diff)


@EACH
def test_a_merged_adapter_is_told(name: str) -> None:
    leaf = next(leaf for leaf in FAMILIES[name][1] if re.search("quer|q_proj|q$|to_q", leaf))
    a = model(name)
    diff = diff_of(source(a), source(edited(a, re.escape(leaf), merged)), FULL)

    assert "merged-adapter" == diff.verdicts[0].code
    assert {"identical": len(a) - LAYERS, "changed": LAYERS} == states(diff)


def test_experts_that_were_pruned_in_the_middle_are_not_told_as_changed() -> None:
    kept = [0, 2, 3, 5]
    b: Arrays = {}
    for name, (dtype, array) in model("mixtral").items():
        match = re.search(r"experts\.(\d)\.", name)
        if match is None:
            b[name] = dtype, array[kept].copy() if "moe.gate" in name else array
        elif int(match[1]) in kept:
            number = kept.index(int(match[1]))
            b[name.replace(match[0], f"experts.{number}.")] = dtype, array
    diff = diff_of(source(model("mixtral")), source(b))

    assert ["experts"] == [one.code for one in diff.verdicts]
    assert "B has 2 experts fewer (6 -> 4); which ones headers do not tell" == diff.verdicts[0].text
    assert "changed" not in states(diff)
    reasons = {one.evidence.found.reason for one in diff.changes if one.evidence.found}
    assert {"", "other shapes", "which layer or expert it was is open"} == reasons
