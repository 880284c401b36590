"""Adapters that an engine makes room for: two narrow matrices beside every linear layer."""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.plan.inventory import Module
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut, is_cut_in, is_routed, local_out, out_and_in
from ckptscan.plan.values import Term, WhatIf

# what engines can put an adapter beside; experts have none in the profiles' versions
TARGETS = frozenset(
    "q k v o qkv kv q_a q_b kv_a kv_b gate up gate_up down "
    "shared_expert.gate shared_expert.up shared_expert.gate_up shared_expert.down".split()
)
WIDTH = 2


def lora_terms(model: Model, asked: WhatIf, cut: Cut, layers: Sequence[int]) -> tuple[Term, ...]:
    """What adapters take on one rank; nothing where none are asked for.

    vLLM's lora/layers: A whole and B cut where the layer is cut by outputs, A cut and B whole
    where it is cut by inputs.
    """
    rank = asked.lora_rank
    if not rank:
        return ()
    by_kind: dict[int, int] = {}
    total = targets = 0
    for index in layers:
        kind = model.inventory.kind_of[index]
        modules = model.inventory.kinds[kind].modules
        aimed = [one for one in modules if is_target(one, model.facts.hidden)]
        if kind not in by_kind:
            by_kind[kind] = sum(_widths(one, model, cut) for one in aimed)
        total += by_kind[kind]
        targets += len(aimed)
    nbytes = total * rank * WIDTH * asked.loras
    how = (
        f"{asked.loras} x rank {rank} x {total:,} inputs and outputs of {targets:,} linear layers "
        f"x {WIDTH} B"
    )
    return (Term("LoRA adapters", nbytes, how, "assumed", "kernel"),)


def is_target(module: Module, hidden: int | None) -> bool:
    """Whether adapters may stand beside it."""
    is_linear = module.role in TARGETS and not is_routed(module)
    return is_linear and module.tower == "text" and out_and_in(module, hidden) is not None


def _widths(module: Module, model: Model, cut: Cut) -> int:
    """Inputs of A and outputs of B on one rank."""
    sizes = out_and_in(module, model.facts.hidden)
    assert sizes is not None  # is_target saw to it
    out, into = sizes
    into = -(-into // cut.ways(module)) if is_cut_in(module) else into
    return into + local_out(module, out, model.heads, cut)
