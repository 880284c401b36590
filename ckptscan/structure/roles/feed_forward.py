"""Feed-forward parts and the routing between experts: gate, up and down told apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ckptscan.structure.roles import tables
from ckptscan.structure.roles.spot import Spot, area_of
from ckptscan.structure.roles.values import Role, Shape

# a router's rows are far fewer than its columns: 512 experts of 2,048 are the closest known
ROUTER_RATIO = 4
# no feed-forward layer widens, or narrows, this much
THIN_RATIO = 32
# a third dimension below this is a kernel's width, not a layer's
MIN_WIDTH = 16
_FOREIGN = frozenset(
    {"attention", "ssm", "linear_attention", "rnn", "time", "patch", "head", "modulation"}
    | {"projector", "position", "rope", "conv"}
)


def routing(spot: Spot) -> Role | None:
    """What chooses experts: the router, its correction, the gate of a shared expert."""
    if "altup" in spot.above:
        return None
    if tables.SHARED_ROUTER.fullmatch(spot.name):
        return Role("shared_expert_router", "name")
    if any(map(tables.ROUTER_BIAS.fullmatch, (spot.leaf, spot.name, *spot.above[:1]))):
        return Role("router_bias", "name")
    if spot.area == "attention" and not spot.expert and "experts" not in spot.company:
        return None
    if tables.ROUTER.fullmatch(spot.name) or any(map(tables.ROUTER.fullmatch, spot.above[:2])):
        return Role("router", "name")
    is_part = tables.ROUTER_PARENT.fullmatch(spot.parent) and tables.ROUTER_PART.fullmatch(
        spot.name
    )
    if is_part and any(map(tables.ROUTER.fullmatch, spot.company)):
        return Role("router", "siblings")
    return _gate_router(spot) if spot.name == "gate" or is_part else None


def _gate_router(spot: Spot) -> Role | None:
    """A `gate` that chooses experts: they stand beside it, or its rows count them."""
    is_matrix = len(spot.shape) == 2
    if spot.expert or (is_matrix and spot.shape[0] == spot.shape[1]):
        return None
    if is_matrix and set(spot.shape) & spot.around.experts:
        return Role("router", "name and shape")
    if any(name.startswith(("expert", "shared_expert", "share_expert")) for name in spot.company):
        return Role("router", "siblings")
    if not is_matrix or spot.area not in ("mlp", ""):
        return None
    is_thin = min(spot.shape) * THIN_RATIO <= max(spot.shape)  # also transposed: Ernie-VL
    is_few = is_thin or spot.shape[0] * ROUTER_RATIO <= spot.shape[1]
    return Role("router", "name and shape") if is_few else None


def feed_forward(spot: Spot) -> Role | None:
    """Gate, up and down of a dense MLP, of an expert or of a shared expert."""
    if spot.area in _FOREIGN or (spot.is_bare and not spot.shape):
        is_layer = spot.area == "projector" and spot.is_in_layer and spot.name == "dense"
        kind = _bert(spot) if is_layer and not spot.is_bare else None
        return Role(kind, "path") if kind else None
    kind = _kind(spot)
    if kind is None:
        return None
    role, evidence = _by_width(spot, kind)
    return Role(_prefix(spot) + role, evidence)


def _kind(spot: Spot) -> str | None:
    """What the name says; outside of an MLP only what no other part is called."""
    name = spot.name.removeprefix("shared_")
    if spot.area == "mlp":
        return _lettered(spot) or _named(spot, name) or _unnamed(spot)
    if spot.area or area_of(spot.name):
        return _lone(spot)
    if name == "dense" or name == "conv1d":
        return _bert(spot)
    is_plain = spot.is_in_layer and len(spot.shape) in (0, 2) and not spot.is_bare
    if not is_plain:
        return None
    if tables.LETTERED.fullmatch(name):
        return _lettered(spot)
    if name == "proj_out" and "proj_mlp" in spot.beside:
        return "down"
    return _SURE.get(name) or _paired(spot, name)


# names of an MLP's parts that need no segment `mlp` above them
_SURE = {
    "gate_proj": "gate",
    "up_proj": "up",
    "down_proj": "down",
    "gate_up_proj": "gate_up",
    "ff_proj": "gate",
    "ff_out": "down",
    "pwconv1": "up",
    "pwconv2": "down",
    "wi": "up",
    "wo": "down",
    "proj_mlp": "up",
    "c_fc": "up",
    "dense_h_to_4h": "up",
    "dense_4h_to_h": "down",
    "linear_fc1": "up",
    "linear_fc2": "down",
    "intermediate_dense": "up",
    "output_dense": "down",
}


def _lone(spot: Spot) -> str | None:
    """An MLP's part whose own name is an area's: `proj_mlp`, `mlp`, `ffn`, `ffn_output`."""
    if spot.area or area_of(spot.name) != "mlp" or len(spot.shape) != 2:
        return None
    if spot.name.endswith(("output", "out")):
        return "down"
    return _SURE.get(spot.name) or _unnamed(spot)


def _bert(spot: Spot) -> str | None:
    """BERT's `intermediate.dense` and `output.dense`."""
    if tables.INTERMEDIATE.search(spot.parent):
        return "up"
    is_output = spot.parent.startswith("output") or spot.parent.endswith("_output")
    return "down" if is_output and spot.is_in_layer else None


def _paired(spot: Spot, name: str) -> str | None:
    """A numbered name in a layer, if its twin stands beside it: `fc1` and `fc2`."""
    match = tables.NUMBERED.fullmatch(name)
    if match is None:
        return None
    is_known = name[: match.start(1)] in ("fc", "linear")
    return _numbered(spot, match) if is_known or _twins(spot, match) else None


def _twins(spot: Spot, match: re.Match[str]) -> list[int]:
    """The numbers of the names beside it that differ by the number alone."""
    stem = match.string[: match.start(1)]
    tails = [other[len(stem) :] for other in spot.beside if other.startswith(stem)]
    return [int(tail) for tail in tails if tail in tables.DIGITS and tail != match.group(1)]


def _named(spot: Spot, name: str) -> str | None:
    """What a name says inside an MLP."""
    if len(spot.shape) > 2 and not spot.expert and min(spot.shape[1:]) < MIN_WIDTH:
        is_point = all(length == 1 for length in spot.shape[2:])
        if not is_point:
            return None
    if name == "linear_1" and "linear_3" in spot.beside:
        return "gate"
    if name in ("linear", "linear_1", "linear_v") and "moe" in spot.above[:3]:
        return {"linear": "gate", "linear_1": "down", "linear_v": "up"}[name]
    if name == "w_1" and "w_0" in spot.beside:
        return "up"
    for role, pattern in (
        ("gate_up", tables.GATE_UP),
        ("gate", tables.GATE),
        ("up", tables.UP),
        ("down", tables.DOWN),
    ):
        if pattern.fullmatch(name):
            return role
    match = tables.NUMBERED.fullmatch(name)
    return _numbered(spot, match) if match else _bert(spot)


def _numbered(spot: Spot, match: re.Match[str]) -> str:
    """First and second layer of an MLP: by order if both are there, else by shape."""
    number = int(match.group(1))
    twins = _twins(spot, match)
    if twins:
        return "down" if number > max(twins) else "up"
    return _unnamed(spot) or ("down" if number > 1 else "up")


def _unnamed(spot: Spot) -> str | None:
    """Up or down by which side is longer."""
    if len(spot.shape) != 2 or spot.is_bare or spot.shape[0] == spot.shape[1]:
        return None
    return "down" if spot.shape[0] < spot.shape[1] else "up"


def _lettered(spot: Spot) -> str | None:
    """Meta's `w1`, `w2`, `w3` and its kin: which is down the shapes and siblings tell."""
    name = spot.name.removeprefix("shared_")
    if not tables.LETTERED.fullmatch(name):
        return None
    widths = {
        other: shape
        for other, shape in spot.beside.items()
        if tables.LETTERED.fullmatch(other) and len(shape) > 1
    }
    widths[name] = spot.shape
    names = spot.company | {name}
    if "v1" in names:
        return {"w1": "gate", "v1": "up"}.get(name, "down")
    if "w12" in names:
        return "down"
    if "c_proj" in names and "w3" not in names:
        return {"w1": "up", "w2": "gate"}.get(name)
    if "w3" not in names and names >= {"w1", "w2"}:
        return {"w1": "up", "w2": "down"}.get(name)
    order = ("gate", "up", "down") if _odd_one(widths) == "w3" else ("gate", "down", "up")
    return dict(zip(("w1", "w2", "w3"), order, strict=True)).get(name)


def _odd_one(widths: Mapping[str, Shape]) -> str | None:
    """The one of three whose shape is the others' transposed."""
    for name, shape in widths.items():
        rest = [other for label, other in widths.items() if label != name]
        if len(rest) == 2 and rest[0] == rest[1] != shape:
            return name
    return None


def _by_width(spot: Spot, kind: str) -> tuple[str, str]:
    """The kind with its width beside that of `down`: twice as wide holds gate and up."""
    if kind == "down":
        return kind, "name"
    down = _down(spot)
    hidden = spot.around.hidden
    if down is None:
        is_fused = kind == "up" and hidden is not None and 8 * hidden in spot.shape
        return ("gate_up", "name and shape") if is_fused and spot.name == "proj" else (kind, "name")
    times = _times(spot.shape, down, hidden)
    if times == 2:
        return "gate_up", "name and shape"
    if times == 1 and kind == "gate_up":
        return ("gate" if "gate" in spot.name else "up"), "siblings"
    return kind, "name"


def _down(spot: Spot) -> Shape | None:
    """The shape of the module beside it that goes back to the hidden width."""
    for name, shape in spot.beside.items():
        match = tables.NUMBERED.fullmatch(name)
        is_second = match is not None and match.group(1) == "2"
        is_last = name in ("w2", "w3") and "w1" not in spot.beside and spot.name != "w1"
        if len(shape) >= 2 and (tables.DOWN.fullmatch(name) or is_second or is_last):
            return shape
    return None


def _times(up: Shape, down: Shape, hidden: int | None) -> int | None:
    """How often the width that goes into `down` comes out of `up`; None where unclear.

    Tried is a Linear's order of dimensions, then the transposed one.
    """
    if len(up) < 2 or len(down) < 2:
        return None
    for rows, columns in ((-2, -1), (-1, -2)):
        is_match = up[columns] == down[rows] and hidden in (None, up[columns])
        if is_match and down[columns] and up[rows] % down[columns] == 0:
            return up[rows] // down[columns]
    return None


def _prefix(spot: Spot) -> str:
    """Whose part it is; three dimensions with no expert above are experts in one tensor."""
    if spot.expert:
        return spot.expert
    is_stack = len(spot.shape) == 3 and min(spot.shape[1:]) >= MIN_WIDTH
    counts = spot.around.experts
    is_counted = is_stack and (not counts or spot.shape[0] in counts)
    has_moe = any("moe" in segment.split("_") for segment in spot.above)
    is_grok = has_moe and spot.name in ("linear", "linear_1", "linear_v")
    return "expert." if is_counted or is_grok else ""
