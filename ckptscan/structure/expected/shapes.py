"""The shape that a config's figures give a tensor, by its role: (out, in), with the formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ckptscan.structure.expected.figures import Dims, Figures, one, plus, scaled, times
from ckptscan.structure.expected.templates import CROSS, Place, Rule, firm, guess
from ckptscan.structure.expected.vectors import VECTORS, of_mixer

Matrix = tuple[Dims, Dims]


def rule_of(place: Place, figures: Figures) -> Rule:
    """What the figures say of a tensor's shape; without templates where they say nothing."""
    if "indexer" in place.path:
        return of_mixer(place, figures)
    matrix = _matrix(place, figures)
    if matrix is None:
        make = VECTORS.get(place.role)
        return guess() if make is None else make(place, figures)
    found = tuple(_placed(place, matrix, figures))
    is_firm = place.role in FIRM and place.is_in_layer and not CROSS.search(place.path)
    if not is_firm:
        return guess(*found)
    return firm(*found)._replace(is_assumed=_is_assumed(place.role, figures))


def _is_assumed(role: str, figures: Figures) -> bool:
    """Whether the shape of a role rests on what is usual, as the config does not say it."""
    if role in ("k", "v", "kv", "qkv"):
        return not figures.says_kv_heads and not figures.is_latent
    return role.rpartition(".")[2] in ("gate", "up", "gate_up", "down") and not figures.says_widths


def _matrix(place: Place, figures: Figures) -> Matrix | None:
    """Out and in of a weight that is a matrix, None for what is none."""
    make = _LATENT.get(place.role) if figures.is_latent else None
    make = make or _MATRICES.get(place.role)
    if make is None:
        return None
    outs, ins = make(figures)
    if CROSS.search(place.path) and place.role in ("k", "v", "kv", "qkv"):
        ins = figures.all_hidden
    return outs, ins


def _placed(place: Place, matrix: Matrix, figures: Figures) -> Iterator[tuple[Dims, ...]]:
    """The matrix as it may be stored: turned, stacked for all experts, its bias alone."""
    outs, ins = matrix
    size = len(place.shape)
    is_of_experts = place.role.startswith("expert.")
    if place.is_bias:
        if size == 1:
            yield (outs,)
        elif size == 2 and is_of_experts:
            yield (figures.experts, outs)
    elif size == 2:
        yield (ins, outs) if place.is_turned else (outs, ins)
        if place.role == "router":
            yield (ins, outs)  # Ernie-VL's is stored in x out
    elif size == 3 and is_of_experts:
        yield (figures.experts, outs, ins)
        yield (figures.experts, ins, outs)
    elif size > 2 and not is_of_experts and set(place.shape[2:]) == {1}:
        yield (outs, ins, *(one(1, "kernel") for _ in place.shape[2:]))


def _fused(figures: Figures) -> Dims:
    """Rows of query, key and value together; twice the queries where they are gated."""
    apart = plus(figures.queries, figures.keys, figures.values)
    return (*apart, *plus(scaled(2, figures.queries), figures.keys, figures.values))


def _gated(figures: Figures) -> Dims:
    return (*figures.queries, *scaled(2, figures.queries))


_MATRICES: Mapping[str, Callable[[Figures], Matrix]] = {
    "q": lambda f: (_gated(f), f.hidden),
    "k": lambda f: (f.keys, f.hidden),
    "v": lambda f: (f.values, f.hidden),
    "o": lambda f: (f.hidden, times(f.heads, f.value_dim)),
    "qkv": lambda f: (_fused(f), f.hidden),
    "kv": lambda f: (plus(f.keys, f.values), f.hidden),
    "gate": lambda f: (f.widths, f.hidden),
    "up": lambda f: (f.widths, f.hidden),
    "gate_up": lambda f: (scaled(2, f.widths), f.hidden),
    "down": lambda f: (f.hidden, f.widths),
    "expert.gate": lambda f: (f.expert_widths, f.hidden),
    "expert.up": lambda f: (f.expert_widths, f.hidden),
    "expert.gate_up": lambda f: (scaled(2, f.expert_widths), f.hidden),
    "expert.down": lambda f: (f.hidden, f.expert_widths),
    "shared_expert.gate": lambda f: (f.shared_widths, f.hidden),
    "shared_expert.up": lambda f: (f.shared_widths, f.hidden),
    "shared_expert.gate_up": lambda f: (scaled(2, f.shared_widths), f.hidden),
    "shared_expert.down": lambda f: (f.hidden, f.shared_widths),
    "router": lambda f: (f.experts, f.hidden),
    "shared_expert_router": lambda f: (one(1, "gate"), f.hidden),
    "attention_gate": lambda f: ((*f.queries, *f.heads, *f.hidden), f.hidden),
}


def _key_width(figures: Figures) -> Dims:
    return plus(figures.first("qk_nope_head_dim"), figures.first("qk_rope_head_dim"))


_LATENT: Mapping[str, Callable[[Figures], Matrix]] = {
    "q": lambda f: (times(f.heads, _key_width(f)), f.hidden),
    "q_a": lambda f: (f.first("q_lora_rank"), f.hidden),
    "q_b": lambda f: (times(f.heads, _key_width(f)), f.first("q_lora_rank")),
    "kv_a": lambda f: (plus(f.first("kv_lora_rank"), f.first("qk_rope_head_dim")), f.hidden),
    "kv_b": lambda f: (
        times(f.heads, plus(f.first("qk_nope_head_dim"), f.first("v_head_dim"))),
        f.first("kv_lora_rank"),
    ),
    "o": lambda f: (f.hidden, times(f.heads, f.first("v_head_dim"))),
}
# roles whose shape the figures settle
FIRM = frozenset({*_MATRICES, *_LATENT}) - {"attention_gate", "shared_expert_router"}
