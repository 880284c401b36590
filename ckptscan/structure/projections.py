"""The projections of one layer's attention, by role; what stands beside them in the layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from ckptscan.late import Late
from ckptscan.structure.tree import Node

Shape = tuple[int, ...]

# attention to what another module gives: not the layer's own
_CROSS = Late(r"(?i)cross|enc_?dec|encoder_attn|EncDecAttention|attn2|multihead_attn$")
_STATE = {"ssm": "ssm", "linear_attention": "linear", "rwkv": "linear"}


class Projections(NamedTuple):
    """The projections of one layer's attention by role, out x in; other kinds beside it."""

    weights: Mapping[str, Shape]
    norms: tuple[int, ...]  # widths of the norms of queries and keys
    sinks: int | None
    frequencies: int | None
    states: tuple[str, ...]


def read_projections(layer: Node) -> Projections | None:
    """The self-attention of a layer; None where it has none, or more than one."""
    groups: dict[str, dict[str, Shape]] = {}
    small: dict[str, Shape] = {}
    norms: list[int] = []
    states: dict[str, None] = {}
    waiting = [(layer, layer.path, False)]
    while waiting:
        node, path, transposed = waiting.pop()
        for end in node.ends:
            role, shape = end.role.name, end.shape or ()
            is_weight = not node.label.endswith("bias") and not node.label.startswith("bias")
            if role in _STATE:
                states[_STATE[role]] = None
            elif role == "qk_norm" and len(shape) == 1 and is_weight:
                norms.append(shape[0])
            elif role in ("sinks", "rope") and shape:
                small[role] = shape
            elif role in _PROJECTIONS and len(shape) == 2 and is_weight and not _CROSS.search(path):
                out_in = (shape[1], shape[0]) if transposed else (shape[0], shape[1])
                weights = groups.setdefault(path.rpartition(".")[0], {})
                # beside another of its role in one module it is the wider that reads the text
                weights[role] = max(weights.get(role, (0, 0)), out_in)
        for child in node.children:
            if child.repeat is None or len(child.repeat) == 1:
                is_conv1d = child.kind is not None and child.kind.name == "Conv1D"
                below = path if child.ends else _below(path, child)
                waiting.append((child, below, transposed if child.ends else is_conv1d))
    merged = _one_group(groups)
    if merged is None and not states:
        return None
    return Projections(
        merged or {},
        tuple(norms),
        small["sinks"][-1] if "sinks" in small else None,
        small["rope"][-1] if "rope" in small else None,
        tuple(states),
    )


_PROJECTIONS = frozenset("q k v o qkv kv q_a q_b kv_a kv_b".split())
_READS = _PROJECTIONS - {"o"}


def _below(path: str, child: Node) -> str:
    return f"{path}.{child.label}" if path else child.label


def _one_group(groups: Mapping[str, Mapping[str, Shape]]) -> dict[str, Shape] | None:
    """The projections of one module; those of BERT lie in two (`self`, `output`)."""
    reading = {path: weights for path, weights in groups.items() if weights.keys() & _READS}
    merged: dict[str, Shape] = {}
    for weights in reading.values():
        if merged.keys() & weights.keys() & _READS:
            return None  # two attentions in one layer, of which none is marked as cross
        merged |= weights
    if not merged or "o" in merged:
        return merged or None
    # the output projection nearest to what it reads, in the order of the tree
    base = next(iter(reading)).split(".")
    outputs = [path for path, weights in groups.items() if "o" in weights]
    nearest = max(outputs, key=lambda path: _shared(path.split("."), base), default=None)
    return merged if nearest is None else {**merged, "o": groups[nearest]["o"]}


def _shared(path: Sequence[str], base: Sequence[str]) -> int:
    """How many first segments two paths have in common."""
    same = (one == other for one, other in zip(path, base, strict=False))
    return len(list(takewhile(bool, same)))
