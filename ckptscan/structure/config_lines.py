"""Modules without parameters that config.json names: activations and rotary embeddings."""

from __future__ import annotations

from ckptscan.structure.scene import config_at, tower_of
from ckptscan.structure.summary import Structure
from ckptscan.structure.tree import Node

# what transformers' ACT2FN (activations.py) makes of the names in hidden_act
_ACTIVATIONS = {
    "silu": "SiLU",
    "swish": "SiLU",
    "gelu": "GELUActivation",
    "gelu_new": "NewGELUActivation",
    "gelu_fast": "FastGELUActivation",
    "gelu_pytorch_tanh": "GELUTanh",
    "quick_gelu": "QuickGELUActivation",
    "relu": "ReLU",
    "relu2": "ReLUSquaredActivation",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "mish": "Mish",
}
_KEYS = ("hidden_activation", "hidden_act", "activation_function", "hidden_dim_activation")
_ROPE_KEYS = ("rope_theta", "rope_parameters", "rope_scaling", "rotary_emb_base")
_UPWARD = frozenset({"up", "gate_up", "gate", "expert.up", "expert.gate_up", "shared_expert.up"})


def activation(structure: Structure, node: Node) -> list[tuple[str, str]]:
    """`act_fn` and its class, where a module is a feed-forward and config.json names one."""
    own = {
        end.role.name for child in node.children for inner in child.children for end in inner.ends
    }
    config = structure.checkpoint.config_of(node.path.partition("/")[0])
    name = config_at(config, node.path).said(*_KEYS)
    if not (own & _UPWARD) or not isinstance(name, str) or name not in _ACTIVATIONS:
        return []
    return [("act_fn", _ACTIVATIONS[name])]


def rotary(structure: Structure, node: Node) -> list[tuple[str, str]]:
    """`rotary_emb` and its class, beside the layers of a model whose config.json names its base."""
    if not any(child.label == "layers" for child in node.children):
        return []
    config = structure.checkpoint.config
    holds_layers = any(
        one.container == f"{node.path}.layers".lstrip(".") and one.heads
        for one in structure.attention
    )
    if not holds_layers or tower_of(node.path) != "text" or config.said(*_ROPE_KEYS) is None:
        return []
    return [("rotary_emb", "RotaryEmbedding")]
