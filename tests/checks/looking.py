"""Small models, and what checks say of them."""

from __future__ import annotations

from collections.abc import Iterable

from ckptscan.checks import Check, Finding, Subject
from ckptscan.structure import Structure
from tests.conftest import Tensors, unheld

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 256,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "num_hidden_layers": 8,
    "vocab_size": 1024,
    "tie_word_embeddings": False,
}
ADAPTER = {"r": 4, "lora_alpha": 8, "peft_type": "LORA"}


def llama(layers: Iterable[int] = range(8), **changed: object) -> dict[str, tuple[str, list[int]]]:
    """A small Llama in BF16."""
    found = {
        "model.embed_tokens.weight": [1024, 64],
        "model.norm.weight": [64],
        "lm_head.weight": [1024, 64],
    }
    for layer in layers:
        found |= {
            f"model.layers.{layer}.{name}.weight": shape
            for name, shape in {
                "input_layernorm": [64],
                "self_attn.q_proj": [64, 64],
                "self_attn.k_proj": [16, 64],
                "self_attn.v_proj": [16, 64],
                "self_attn.o_proj": [64, 64],
                "post_attention_layernorm": [64],
                "mlp.gate_proj": [256, 64],
                "mlp.up_proj": [256, 64],
                "mlp.down_proj": [64, 256],
            }.items()
        }
    return {name: ("BF16", shape) for name, shape in found.items()}


def mixture(layers: Iterable[int] = range(8), experts: int = 8) -> dict[str, tuple[str, list[int]]]:
    """A small mixture of experts; its first layer is dense."""
    found = llama(layers)
    for layer in [*layers][1:]:
        for name in ("gate_proj", "up_proj", "down_proj"):
            del found[f"model.layers.{layer}.mlp.{name}.weight"]
            shape = [64, 32] if name == "down_proj" else [32, 64]
            for expert in range(experts):
                found[f"model.layers.{layer}.mlp.experts.{expert}.{name}.weight"] = ("BF16", shape)
        found[f"model.layers.{layer}.mlp.gate.weight"] = "BF16", [experts, 64]
    return found


def float8(tensors: Tensors) -> dict[str, tuple[str, list[int]]]:
    """The same with projections in FP8, a scale a row."""
    found = {}
    for name, (dtype, shape) in tensors.items():
        is_packed = "_proj" in name
        found[name] = ("F8_E4M3" if is_packed else dtype, list(shape))
        if is_packed:
            found[f"{name}_scale"] = "BF16", [shape[0], 1]
    return found


def gptq(tensors: Tensors) -> dict[str, tuple[str, list[int]]]:
    """The same with projections in 4 bits as GPTQ packs them, groups of 32."""
    found = {}
    for name, (dtype, shape) in tensors.items():
        module = name.removesuffix(".weight")
        if not module.endswith("_proj"):
            found[name] = dtype, list(shape)
            continue
        out, wide = shape
        found[f"{module}.qweight"] = "I32", [wide // 8, out]
        found[f"{module}.qzeros"] = "I32", [wide // 32, out // 8]
        found[f"{module}.scales"] = "F16", [wide // 32, out]
        found[f"{module}.g_idx"] = "I32", [wide]
    return found


def lora(layers: Iterable[int] = range(8)) -> dict[str, tuple[str, list[int]]]:
    """A small adapter of rank 4."""
    found = {}
    for layer in layers:
        for name in ("q_proj", "v_proj"):
            path = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            found[f"{path}.lora_A.weight"] = "F32", [4, 64]
            found[f"{path}.lora_B.weight"] = "F32", [64, 4]
    return found


def without(tensors: Tensors, *names: str) -> dict[str, tuple[str, list[int]]]:
    """The tensors whose names hold none of these."""
    return {
        name: (dtype, list(shape))
        for name, (dtype, shape) in tensors.items()
        if not any(one in name for one in names)
    }


def found_in(checks: Iterable[Check], structure: Structure) -> list[Finding]:
    """All that these checks find."""
    subject = Subject(structure.checkpoint, structure)
    return [finding for check in checks for finding in check.look(subject)]


def codes(checks: Iterable[Check], tensors: Tensors, **files: object) -> list[str]:
    """What these checks find, as `S001 error`."""
    found = found_in(checks, unheld(tensors, **files))
    return sorted({f"{one.code} {one.severity}" for one in found})
