"""Biases that a quantizer added to linears whose architecture has none.

Some GPTQ writers give every quantized linear a `bias` of zeros (AutoGPTQ, QuantLinear.__init__ with
bias=True), which stands in no count of the model.
"""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.config import Config
from ckptscan.structure.roles import Role
from ckptscan.structure.tree import Node

ADDED = Role("quantization", "a bias on every packed linear, beside norms without one")
_DECLARES = ("attention_bias", "qkv_bias", "use_bias", "mlp_bias", "add_bias_linear", "bias")
_INPUT = frozenset({"q", "k", "v", "qkv"})
# q, k and v have a bias in these families' code (modeling_qwen2.py, Qwen2Attention; Qwen-1's
# attn.c_attn), and no key of their config says so
_INPUT_BIAS = ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen")


def mark_added_biases(root: Node, config: Config) -> Node:
    """The tree with such biases as book-keeping; biases that config declares stay."""
    if config.flag(*_DECLARES) or not _all_biased(root):
        return root
    kept = _INPUT if config.model_type in _INPUT_BIAS else frozenset()
    return _marked(root, kept)


def _all_biased(root: Node) -> bool:
    """Whether all packed linears have a bias, the gated MLP among them, and no norm has one."""
    packed = [node for node in _nodes(root) if node.kind and node.kind.name == "QuantLinear"]
    roles = {end.role.name for node in packed for child in node.children for end in child.ends}
    return (
        bool({"gate", "expert.gate"} & roles)
        and all(any(child.label == "bias" for child in node.children) for node in packed)
        and not any(
            child.label == "bias" and child.ends and child.ends[0].role.name == "norm"
            for node in _nodes(root)
            for child in node.children
        )
    )


def _nodes(root: Node) -> Iterator[Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def _marked(node: Node, kept: frozenset[str]) -> Node:
    is_packed = node.kind is not None and node.kind.name == "QuantLinear"
    children = []
    for child in node.children:
        is_bias = is_packed and child.label == "bias" and child.ends
        if is_bias and child.ends[0].role.name not in kept:
            ends = [end._replace(role=ADDED, each=0) for end in child.ends]
            children.append(child.holding(child.children, ends))
        else:
            children.append(_marked(child, kept))
    return node.holding(children)
