"""What a tensor is in its layer, in words that do not depend on who named it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.structure.match.values import Side, Unit
from ckptscan.structure.roles.spot import snake

# roles that say too little to match by
_VAGUE = frozenset({"other", "quantization", "buffer", "mtp"})
_LEAF = {"gamma": "weight", "beta": "bias", "g": "weight", "b": "bias"}
_WEIGHTS = Late(r"^(?:weight|bias|gamma|beta|scale|offset|g|b)$")

# the norm before attention: Llama's HF and Meta names, GPT-2, OPT, ViT, Phi, Falcon, InternLM2
_BEFORE_ATTENTION = frozenset(
    "input_layernorm attention_norm attn_norm ln_1 ln1 norm1 norm_1 layer_norm1 layernorm1 "
    "layer_norm_1 self_attn_layer_norm layernorm_before pre_attention_layernorm input_norm "
    "pre_attn_norm ln_attn attn_ln attention_layernorm self_attention_norm "
    "pre_self_attn_layernorm".split()
)
# the norm before the feed-forward, where the layer has two
_BEFORE_MLP = frozenset(
    "ffn_norm ln_2 ln2 norm2 norm_2 layer_norm2 layernorm2 layer_norm_2 layernorm_after mlp_norm "
    "pre_mlp_layernorm pre_feedforward_layernorm final_layer_norm mlp_ln ln_mlp pre_ff_layernorm "
    "pre_ffw_norm mlp_layernorm pre_mlp_norm".split()
)
_AFTER_ATTENTION = frozenset({"post_attention_layernorm", "post_attn_norm", "post_attention_norm"})
_AFTER_MLP = frozenset(
    "post_feedforward_layernorm post_ffw_norm post_mlp_layernorm post_ffn_norm".split()
)
# q_norm, k_layernorm, norm_q, query_layernorm; kv_a_layernorm, kv_norm, q_a_layernorm
_SIDED = Late(r"^(?:norm_)?(?:added_)?(q|k|kv|query|key|v)(?:_a)?(?:_?(?:layer)?_?norm|_ln)?$")


class Slot(NamedTuple):
    """A role with all that tells it from others of its model but its shape and numbers."""

    role: str
    leaf: str
    stars: int
    tower: str
    kin: frozenset[str]


class Slots:
    """The slots of one side; `has_towers` is False where tower and kin are left out."""

    def __init__(self, side: Side, has_towers: bool) -> None:
        self._units = side.units
        self._has_towers = has_towers

    def of(self, unit: Unit) -> Slot | None:
        """The slot of a unit, None where its role says too little."""
        role = role_of(unit, self._is_sandwich)
        if not role:
            return None
        tower, kin = (
            (unit.tower, unit.kin) if self._has_towers else ("", unit.kin & {"mtp", "lora"})
        )
        return Slot(role, leaf_of(unit), unit.stars, tower, frozenset(kin))

    @cached_property
    def _is_sandwich(self) -> bool:
        """Whether layers have norms behind attention and feed-forward too, as in Gemma 2."""
        names = {_name(unit) for unit in self._units if unit.role.name == "norm"}
        return bool(names & _AFTER_MLP)


def role_of(unit: Unit, is_sandwich: bool) -> str:
    """The role of a unit, of a norm with its place; empty where it says too little."""
    role = unit.role.name
    if role in _VAGUE:
        return ""
    if role not in ("norm", "qk_norm"):
        return role
    name = _name(unit)
    sided = _SIDED.match(name)
    if sided:
        return f"norm.{sided[1][0] if sided[1] != 'kv' else 'kv'}"
    if not unit.stars:
        return "norm.final"
    if name in _BEFORE_ATTENTION:
        return "norm.attention"
    if name in _AFTER_ATTENTION:
        return "norm.after_attention" if is_sandwich else "norm.mlp"
    if name in _BEFORE_MLP:
        return "norm.mlp"
    return "norm.after_mlp" if name in _AFTER_MLP else ""


def leaf_of(unit: Unit) -> str:
    """`weight` or `bias`, also of tensors that are named by their module alone."""
    leaf = snake(unit.leaf)
    if _WEIGHTS.match(leaf):
        return _LEAF.get(leaf, leaf)
    return "bias" if leaf.endswith("_bias") else "weight"


def is_bias(unit: Unit) -> bool:
    """Whether it is the bias of a module that has a weight."""
    return leaf_of(unit) == "bias"


def by_slot(side: Side, units: Iterable[Unit], has_towers: bool) -> dict[Slot, list[Unit]]:
    """Units by their slot, those left out whose role says too little."""
    slots = Slots(side, has_towers)
    found: dict[Slot, list[Unit]] = {}
    for unit in units:
        slot = slots.of(unit)
        if slot is not None:
            found.setdefault(slot, []).append(unit)
    return found


def _name(unit: Unit) -> str:
    """The name of a unit's module, or its own where it has no module."""
    segments = unit.segments[:-1] if _WEIGHTS.match(snake(unit.leaf)) else unit.segments
    named = [segment for segment in segments if segment != "*"]
    return snake(named[-1]) if named else ""
