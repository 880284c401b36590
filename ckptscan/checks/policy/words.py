"""The words of the policy language: groups, figures, facts, dtypes, units."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ckptscan.checks.policy.values import EVERYTHING, Group
from ckptscan.dtypes import DTYPES

_ROUTED = "expert.gate expert.up expert.down expert.gate_up"
_SHARED = "shared_expert.gate shared_expert.up shared_expert.down shared_expert.gate_up"
_DENSE = "gate up down gate_up"
# the first word of a line is what reports say, the others mean the same; then the roles
_GROUPS = f"""
experts, routed experts: {_ROUTED}
shared experts: {_SHARED}
mlp, mlps, feed-forward, ffn: {_DENSE} {_ROUTED} {_SHARED}
routers, router: router router_bias shared_expert_router
norms, norm: norm qk_norm
embeddings, embedding: embedding
lm_head, head, output head: lm_head
attention: q k v o qkv kv q_a q_b kv_a kv_b attention attention_gate linear_attention sinks
scales, quantization tensors: quantization
buffers: buffer rope
adapters, lora: lora.a lora.b lora.magnitude lora.alpha
"""


def _groups() -> dict[str, Group]:
    found = dict.fromkeys(("all", "everything", "all tensors", "tensors"), EVERYTHING)
    for line in _GROUPS.strip().split("\n"):
        words, _, roles = line.partition(": ")
        named = words.split(", ")
        found |= {word: Group(named[0], frozenset(roles.split())) for word in named}
    return found | {"biases": Group("biases", leaf="bias")}


GROUPS: Mapping[str, Group] = _groups()

# what may be counted; those of SUMMED also of a group, those of BYTES in bytes
FIGURES = {
    "parameters": "parameters",
    "active parameters": "active parameters",
    "elements": "elements",
    "tensors": "tensors",
    "bytes": "bytes",
    "size": "bytes",
    "layers": "layers",
    "experts": "experts",
    "shared experts": "shared experts",
    "experts per token": "experts per token",
    "heads": "heads",
    "kv heads": "kv heads",
    "head dim": "head dim",
    "vocabulary": "vocabulary",
    "hidden size": "hidden size",
    "files": "files",
    "shards": "shards",
    "largest shard": "largest shard",
}
SUMMED = ("parameters", "elements", "tensors", "bytes")
BYTES = ("bytes", "largest shard")

FACTS = ("quantization", "architecture", "model type", "attention", "format")

# names of torch and of everyday speech -> dtypes of the format
_SPOKEN = {
    "float32": "F32",
    "fp32": "F32",
    "float16": "F16",
    "fp16": "F16",
    "half": "F16",
    "bfloat16": "BF16",
    "float64": "F64",
    "fp8": "F8_E4M3 F8_E5M2",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e8m0fnu": "F8_E8M0",
    "fp4": "F4",
    "int8": "I8",
    "uint8": "U8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
}
DTYPE_WORDS: Mapping[str, tuple[str, ...]] = {
    **{name.lower(): (name,) for name in DTYPES},
    **{word: tuple(names.split()) for word, names in _SPOKEN.items()},
}

COUNTS: Mapping[str, Fraction] = {
    unit: Fraction(1000**power) for power, unit in enumerate("KMBT", 1)
}
SIZES: Mapping[str, Fraction] = {
    "bytes": Fraction(1),
    **{f"{unit}iB": Fraction(1024**power) for power, unit in enumerate("KMGT", 1)},
    **{f"{unit}B": Fraction(1000**power) for power, unit in enumerate("KMGT", 1)},
}
