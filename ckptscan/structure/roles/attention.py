"""Attention and what stands in its place: linear attention, state spaces, RWKV, recurrences."""

from __future__ import annotations

from ckptscan.structure.roles import tables
from ckptscan.structure.roles.spot import Spot, area_of
from ckptscan.structure.roles.values import Role

# word in a name -> what of attention it says
_SIDES = {
    "q": "q",
    "query": "q",
    "queries": "q",
    "wq": "q",
    "k": "k",
    "key": "k",
    "keys": "k",
    "wk": "k",
    "v": "v",
    "value": "v",
    "values": "v",
    "wv": "v",
    "kv": "kv",
    "wkv": "kv",
}
_MIXER = frozenset({"in_proj", "conv1d", "dt_proj", "dt"})
_GRIFFIN = frozenset({"linear_x", "linear_y", "linear_out", "conv_1d"})
_MLA = (
    ("q_a", tables.Q_A),
    ("q_b", tables.Q_B),
    ("kv_a", tables.KV_A),
    ("kv_b", tables.KV_B),
)
# areas that hold no attention of their own
_FOREIGN = frozenset(
    {"mlp", "ssm", "linear_attention", "rnn", "conv", "time", "patch", "head", "modulation"}
)


def recurrent(spot: Spot) -> Role | None:
    """The mixers that keep a state: by their own tensors, or by what stands beside them."""
    if tables.RNN_LEAF.fullmatch(spot.leaf) or (spot.area == "rnn" and not _is_norm(spot)):
        return Role("rnn", "name")
    if _is_rwkv(spot):
        return Role("rwkv", "siblings")
    if _is_norm(spot):
        return None
    if spot.is_bare and spot.leaf in ("a_log", "dt_bias") and spot.area == "attention":
        return Role("linear_attention", "name")
    if {"rg_lru", "conv_1d"} & (spot.company | {spot.name}) and spot.name in _GRIFFIN:
        return Role("rnn", "siblings")
    if _is_linear(spot):
        return Role("linear_attention", "siblings" if spot.area == "attention" else "path")
    if _is_ssm(spot):
        return Role("ssm", "name")
    return None


def _is_norm(spot: Spot) -> bool:
    return bool(tables.NORM.search(spot.name))


def _is_rwkv(spot: Spot) -> bool:
    """Whether the mixer has RWKV's receptance or its time mixes."""
    if tables.RWKV_LEAF.fullmatch(spot.leaf) or spot.name == "receptance":
        return True
    if _is_norm(spot) or spot.area not in ("attention", "mlp") or spot.expert:
        return False
    if spot.is_bare:
        is_mix = spot.area == "attention" or spot.leaf.startswith("x_")
        return is_mix and bool(tables.RWKV7_LEAF.fullmatch(spot.leaf))
    if "rwkv" in spot.above or (spot.area == "mlp" and spot.name in ("key", "value")):
        return True
    signs = {"receptance", "r_proj", "time_mix_key", "time_maa_k", "r_k", "k_k", "time_decay"}
    return bool(signs & (spot.company | {spot.name}))


def _is_linear(spot: Spot) -> bool:
    """Whether it belongs to a delta net or its kin, also one that is called `self_attn`."""
    if spot.area == "linear_attention":
        return True
    if spot.area != "attention" and spot.parent != "mixer":
        return False
    if not tables.LINEAR_PART.fullmatch(spot.name):
        return False
    names = spot.company | {spot.name}
    if any(map(tables.LINEAR_SIGN.fullmatch, names)):
        return True
    return "output_gate" in names and "qkv_proj" in names


def _is_ssm(spot: Spot) -> bool:
    """Whether it belongs to a Mamba mixer."""
    if spot.is_bare and spot.leaf in ("a_log", "a_logs", "dt_bias"):
        return True
    if spot.area == "ssm":
        return bool(tables.SSM_PART.fullmatch(spot.name) or tables.SSM_LEAF.fullmatch(spot.leaf))
    if spot.area in ("attention", "mlp", "conv"):
        return False
    if spot.is_bare:
        return spot.leaf == "d" and len(spot.shape) == 1
    if not tables.SSM_PART.fullmatch(spot.name):
        return False
    if spot.name in ("x_proj", "bcdt_proj") or (spot.parent == "mixer" and spot.name in _MIXER):
        return True
    return bool({"a_log", "x_proj", "dt_proj", "dt_bias", "bcdt_proj"} & spot.company) or (
        {"in_proj", "conv1d", "out_proj"} <= spot.company | {spot.name}
    )


def attention(spot: Spot) -> Role | None:
    """The projections of attention, and their gates and sinks."""
    if spot.area in _FOREIGN and not _is_pooling(spot):
        is_pooling = spot.area == "head" and tables.STRONG.fullmatch(spot.name)
        side = _side(spot.name) if is_pooling else None
        return Role(side or "o", "name") if is_pooling and _has_sides(spot) else None
    if any(segment in ("indexer", "compressor") for segment in spot.above):
        return Role("attention", "path")
    is_here = spot.area == "attention" or _is_pooling(spot)
    if not is_here and not _is_strong(spot):
        return None
    role = _projection(spot)
    if role is None:
        return None
    if role in ("q", "k", "v") and len(spot.shape) == 1 and not spot.is_bare and _is_alone(spot):
        return Role("qk_norm", "name and shape")
    return Role(role, "name" if is_here else "siblings")


def leftover(spot: Spot) -> Role | None:
    """All else that lies in attention, but convolutions."""
    if len(spot.shape) > 2 and not spot.is_bare:
        return None
    is_own = area_of(spot.name) == "attention" and "weight" not in spot.leaves
    return Role("attention", "path") if spot.area == "attention" or is_own else None


def _is_pooling(spot: Spot) -> bool:
    """Whether a head has `in_proj_weight`, that only attention has."""
    return spot.is_bare and spot.name == "in_proj" and spot.area != "ssm"


def _has_sides(spot: Spot) -> bool:
    """Whether a key or value projection stands beside it, or is it."""
    return bool({"k_proj", "v_proj", "kv_proj"} & (spot.company | {spot.name}))


def _is_alone(spot: Spot) -> bool:
    """Whether the vector is a module's weight, not the bias of one that has none here."""
    return "weight" in spot.leaves


def _is_strong(spot: Spot) -> bool:
    """Whether the name or its company make it attention where no segment says so."""
    if tables.STRONG.fullmatch(spot.name):
        return spot.area != "projector" or spot.name not in ("proj", "qkv")
    if {"query", "key", "value"} <= spot.company | {spot.name}:
        return spot.name in ("query", "key", "value", "dense", "linear")
    if {"q", "k", "v"} <= spot.company | {spot.name}:
        return spot.name in ("q", "k", "v", "o", "proj", "out", "proj_out")
    has_qkv = any(map(tables.STRONG.fullmatch, spot.company))
    return has_qkv and spot.name in ("wo", "o_proj", "out_proj", "attn_out", "o")


def _projection(spot: Spot) -> str | None:
    """The role that a name has inside attention."""
    name = spot.name
    if tables.SINKS.fullmatch(name):
        return "sinks"
    if tables.INDEX.fullmatch(spot.leaf) and len(spot.shape) < 2:
        return None
    for role, pattern in _MLA:
        if pattern.fullmatch(name):
            return role
    if "mlp" in name.split("_"):
        return None  # to_qkv_mlp_proj: how much of it is attention, its shape does not say
    side = _side(name)
    if side is not None:
        return side
    if tables.QKV.fullmatch(name):
        return "qkv"
    if tables.ATTENTION_GATE.fullmatch(name):
        return "attention_gate"
    is_odd = spot.is_bare and name not in ("o", "out_proj", "o_proj") and len(spot.shape) != 1
    return "o" if tables.OUT.fullmatch(name) and not is_odd else None


def _side(name: str) -> str | None:
    """Which of query, key and value the words of a name say; `qkv` for all three."""
    words = {word.rstrip("0123456789") if len(word) < 3 else word for word in name.split("_")}
    if words & tables.NOT_QKV or "gate" in words:
        return None
    sides = {_SIDES[word] for word in words if word in _SIDES}
    if sides == {"k", "v"}:
        return "kv"
    if sides == {"q", "k"}:
        return "q"
    if sides == {"q", "k", "v"}:
        return "qkv"
    return sides.pop() if len(sides) == 1 else None
