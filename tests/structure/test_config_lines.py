"""Modules without parameters, which config.json alone tells."""

from __future__ import annotations

import pytest

from ckptscan.structure.config_lines import activation, rotary
from ckptscan.structure.tree import Node
from tests.conftest import Tensors, unheld

H = 8
LAYERS: Tensors = {
    f"model.layers.{n}.{name}.weight": ("BF16", shape)
    for n in range(2)
    for name, shape in {
        "mlp.up_proj": [9, H], "mlp.down_proj": [H, 9],
        "self_attn.q_proj": [H, H], "self_attn.k_proj": [H, H],
        "self_attn.v_proj": [H, H], "self_attn.o_proj": [H, H],
        "input_layernorm": [H],
    }.items()
}  # fmt: skip
HEADS = {"num_attention_heads": 2}


def node_at(root: Node, path: str) -> Node:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.path == path:
            return node
        waiting += node.children
    raise KeyError(path)


ACTIVATIONS = [
    ("model.layers.*.mlp", {"hidden_act": "silu"}, [("act_fn", "SiLU")]),
    (
        "model.layers.*.mlp",
        {"hidden_act": "gelu", "hidden_activation": "gelu_pytorch_tanh"},
        [("act_fn", "GELUTanh")],
    ),
    ("model.layers.*.mlp", {"text_config": {"hidden_act": "relu"}}, [("act_fn", "ReLU")]),
    ("model.layers.*.mlp", {"hidden_act": "unheard-of"}, []),
    ("model.layers.*.mlp", {"hidden_act": ["silu"]}, []),
    ("model.layers.*.mlp", {}, []),
    ("model.layers.*.self_attn", {"hidden_act": "silu"}, []),
]


@pytest.mark.parametrize(("path", "config", "expected"), ACTIVATIONS)
def test_the_activation_of_a_feed_forward(
    path: str, config: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    structure = unheld(LAYERS, config=config)

    assert expected == activation(structure, node_at(structure.tree, path))


ROTARY = {
    "told": ("model", LAYERS, {**HEADS, "rope_theta": 10000.0}, True),
    "not told": ("model", LAYERS, HEADS, False),
    "heads unknown": ("model", LAYERS, {"rope_theta": 10000.0}, False),
    "another node": ("model.layers", LAYERS, {**HEADS, "rope_theta": 10000.0}, False),
    "no layers of attention": (
        "x", LAYERS | {"x.layers.0.w": ("BF16", [2])}, {**HEADS, "rope_theta": 1.0}, False,
    ),
    "in another tower": (
        "visual",
        {name.replace("model", "visual"): spec for name, spec in LAYERS.items()},
        {**HEADS, "rope_theta": 1.0}, False,
    ),
    "at the top": (
        "", {name.removeprefix("model."): spec for name, spec in LAYERS.items()},
        {**HEADS, "rope_scaling": {"type": "linear"}}, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "tensors", "config", "has_one"), ROTARY.values(), ids=ROTARY)
def test_the_rotary_embedding_beside_the_layers(
    path: str, tensors: Tensors, config: dict[str, object], has_one: bool
) -> None:
    structure = unheld(tensors, config=config)
    expected = [("rotary_emb", "RotaryEmbedding")] if has_one else []

    assert expected == rotary(structure, node_at(structure.tree, path))
