"""The values that the rules of roles take and give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

Shape = tuple[int, ...]

ROLES = frozenset(
    """
    embedding position token_type lm_head head
    q k v o qkv kv q_a q_b kv_a kv_b attention_gate attention sinks
    gate up down gate_up router router_bias
    expert.gate expert.up expert.down expert.gate_up
    shared_expert.gate shared_expert.up shared_expert.down shared_expert.gate_up
    shared_expert_router
    norm qk_norm conv ssm linear_attention rwkv rnn rope buffer
    lora.a lora.b lora.magnitude lora.alpha
    mtp projector patch layer_scale time modulation token quantization other
    """.split()
)


# what roles are part of, in the order in which people tell them; all others are "other"
PARTS = {
    "embeddings": "embedding position token_type token lm_head head patch projector time",
    "attention": "q k v o qkv kv q_a q_b kv_a kv_b attention_gate attention sinks qk_norm rope",
    "linear attention": "linear_attention ssm rwkv rnn conv",
    "feed-forward": "gate up down gate_up",
    "experts": "expert.gate expert.up expert.down expert.gate_up router router_bias",
    "shared experts": "shared_expert.gate shared_expert.up shared_expert.down "
    "shared_expert.gate_up shared_expert_router",
    "quantization": "quantization",
}
_PART_OF = {role: part for part, roles in PARTS.items() for role in roles.split()}
OTHER = "other"


def part_of(role: str) -> str:
    """The part of a model that a role belongs to: one of PARTS, or OTHER."""
    return _PART_OF.get(role, OTHER)


class Role(NamedTuple):
    """What a tensor is for, and what says so: `name`, `name and shape`, `siblings` ..."""

    name: str
    evidence: str


UNKNOWN = Role("other", "unknown")


class Surroundings(NamedTuple):
    """What is known around a module; each may be unknown.

    `hidden` is the width of this tower, as its norms have it. `experts` are the numbers of
    experts counted from tensors. `siblings` are the modules beside it in the same parent, and
    `owner` the parent's own tensors. `vocabulary` is the rows of the input embedding.
    """

    hidden: int | None = None
    experts: frozenset[int] = frozenset()
    siblings: Mapping[str, Mapping[str, Shape]] = {}
    vocabulary: int | None = None
    model_type: str | None = None
    owner: Mapping[str, Shape] = {}
