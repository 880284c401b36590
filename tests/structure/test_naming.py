"""Classes of containers, from the class that config.json names."""

from __future__ import annotations

import pytest

from ckptscan.structure.tree import Node
from tests.conftest import Tensors, unheld

W = ("BF16", [2, 2])


def classes(tensors: Tensors, architecture: object) -> dict[str, str]:
    """The class of each container that has one, by path."""
    config = {} if architecture is None else {"architectures": [architecture]}
    found: dict[str, str] = {}
    waiting: list[Node] = [unheld(tensors, config=config).tree]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.kind and node.kind.label in ("config", "inferred") and not node.kind.arguments:
            found[node.path] = f"{node.kind.name} {node.kind.label}"
    return found


def layers(container: str) -> Tensors:
    parts = ("self_attn.q_proj", "mlp.up_proj", "mlp.down_proj", "norm")
    return {f"{container}.{n}.{part}.weight": W for n in range(2) for part in parts}


NAMED = {
    "a decoder": (
        "LlamaForCausalLM",
        layers("model.layers"),
        {
            "": "LlamaForCausalLM config",
            "model": "LlamaModel inferred",
            "model.layers": "ModuleList inferred",
            "model.layers.*": "LlamaDecoderLayer config",
            "model.layers.*.self_attn": "LlamaAttention inferred",
            "model.layers.*.mlp": "LlamaMLP inferred",
        },
    ),
    "a mixture of experts": (
        "MixtralForCausalLM",
        {f"model.layers.{n}.mlp.experts.{e}.w1.weight": W for n in range(2) for e in range(2)},
        {
            "": "MixtralForCausalLM config",
            "model": "MixtralModel inferred",
            "model.layers": "ModuleList inferred",
            "model.layers.*": "MixtralDecoderLayer config",
            "model.layers.*.mlp": "MixtralSparseMoeBlock inferred",
            "model.layers.*.mlp.experts": "ModuleList inferred",
        },
    ),
    "blocks": (
        "GPT2LMHeadModel",
        {f"h.{n}.x.y.weight": W for n in range(2)},
        {"": "GPT2LMHeadModel config", "h": "ModuleList inferred", "h.*": "GPT2Block config"},
    ),
    "an encoder": (
        "WhisperEncoderModel",
        {f"model.encoder.layers.{n}.x.y.weight": W for n in range(2)},
        {
            "": "WhisperEncoderModel config",
            "model": "WhisperModel inferred",
            "model.encoder.layers": "ModuleList inferred",
            "model.encoder.layers.*": "WhisperEncoderLayer config",
        },
    ),
    "layers called layer": (
        "BertModel",
        {f"zzz.layer.{n}.x.y.weight": W for n in range(2)} | {"a.b.c.weight": W},
        {
            "": "BertModel config",
            "zzz.layer": "ModuleList inferred",
            "zzz.layer.*": "BertLayer config",
        },
    ),
    "no layers": ("LlamaForCausalLM", {"a.b.w": W}, {"": "LlamaForCausalLM config"}),
    "a class without a stem": (
        "flux", layers("model.layers"),
        {"": "flux config", "model.layers": "ModuleList inferred"},
    ),
    "a class longer than any": (
        "L" * 300 + "Model", layers("model.layers"),
        {"": "L" * 300 + "Model config", "model.layers": "ModuleList inferred"},
    ),
    "no class": (None, layers("model.layers"), {"model.layers": "ModuleList inferred"}),
    "a class that is no text": (7, layers("model.layers"), {"model.layers": "ModuleList inferred"}),
    "a list beside a tensor": (None, layers("model.layers") | {"model.layers.scale": W}, {}),
    "a list of tensors": (None, {"a.b.0": W, "a.b.1": W}, {}),
    "numbered at the top": (
        "XModel", {f"{n}.a.b.weight": W for n in range(2)},
        {"": "XModel config", "*": "XDecoderLayer config"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("architecture", "tensors", "expected"), NAMED.values(), ids=NAMED)
def test_containers_are_named_by_the_stem(
    architecture: object, tensors: Tensors, expected: dict[str, str]
) -> None:
    assert expected == classes(tensors, architecture)
