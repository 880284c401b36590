"""Adapters that an engine makes room for, or that are trained: two narrow matrices beside a weight.

Sources: vLLM 0.11 lora/layers (A whole and B cut where a layer is cut by outputs, A cut and B whole
where it is cut by inputs; tables whole on every rank); PEFT's LoraLayer for Linear and Embedding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ckptscan.errors import UsageError
from ckptscan.plan.inventory import Module
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import (
    TABLES,
    Cut,
    experts_of_rank,
    is_cut_in,
    is_routed,
    is_stack,
    local_out,
    out_and_in,
    times_of_rank,
)
from ckptscan.plan.values import Term, WhatIf

# what --lora-targets names -> the roles of the modules that it stands for
TARGETS = {
    "linear": frozenset(
        "q k v o qkv kv q_a q_b kv_a kv_b gate up gate_up down shared_expert.gate "
        "shared_expert.up shared_expert.gate_up shared_expert.down".split()
    ),
    "experts": frozenset("expert.gate expert.up expert.gate_up expert.down".split()),
    "embeddings": frozenset(["embedding"]),
    "head": frozenset(["lm_head"]),
}
WIDTH = 2


def refuse_targets(targets: Sequence[str]) -> None:
    """Raise UsageError for a target that is none."""
    unknown = [name for name in targets if name not in TARGETS]
    if unknown or not targets:
        raise UsageError(f"no modules are called {', '.join(unknown)[:60]!r}",
                         f"there are: {', '.join(TARGETS)}")  # fmt: skip


def lora_terms(model: Model, asked: WhatIf, cut: Cut, layers: Sequence[int]) -> tuple[Term, ...]:
    """What adapters take on one rank; nothing where none are asked for."""
    rank = asked.lora_rank
    if not rank:
        return ()
    by_kind: dict[int, tuple[int, int]] = {}
    total, count = _sizes(_tables(model, layers), model, asked, cut)
    for index in layers:
        kind = model.inventory.kind_of[index]
        if kind not in by_kind:
            modules = model.inventory.kinds[kind].modules
            by_kind[kind] = _sizes(modules, model, asked, cut)
        total += by_kind[kind][0]
        count += by_kind[kind][1]
    nbytes = total * rank * WIDTH * asked.loras
    how = (
        f"{asked.loras} x rank {rank} x {total:,} inputs and outputs of {count:,} modules "
        f"({', '.join(asked.lora_targets)}) x {WIDTH} B"
    )
    return (Term("LoRA adapters", nbytes, how, "assumed", "kernel"),)


def _tables(model: Model, layers: Sequence[int]) -> Iterator[Module]:
    """The input table on the stage of the first layer, the head on that of the last."""
    for module in model.inventory.outside:
        at = model.indices[-1 if module.role == "lm_head" else 0] if model.indices else None
        is_twice = module.role == "lm_head" and model.facts.is_tied
        if module.role in TABLES and at in layers and not is_twice:
            yield module


def _sizes(
    modules: Iterator[Module] | Sequence[Module], model: Model, asked: WhatIf, cut: Cut
) -> tuple[int, int]:
    """Inputs of all A and outputs of all B on one rank, and how many modules have them."""
    found = [one for one in modules if is_target(one, model.facts.hidden, asked.lora_targets)]
    total = sum(widths(one, model, cut) * standing(one, cut) for one in found)
    return total, sum(standing(one, cut) for one in found)


def is_target(module: Module, hidden: int | None, targets: Sequence[str]) -> bool:
    """Whether adapters may stand beside it."""
    is_named = any(module.role in TARGETS[name] for name in targets)
    return is_named and module.tower == "text" and out_and_in(module, hidden) is not None


def standing(module: Module, cut: Cut) -> int:
    """How often a module stands on one rank: experts of a stack are counted too."""
    if not is_routed(module):
        return module.times
    if is_stack(module):
        return experts_of_rank(prod((module.shape or ())[:1]), cut)
    return times_of_rank(module, cut)


def widths(module: Module, model: Model, cut: Cut) -> int:
    """Inputs of A and outputs of B on one rank; those of a table are whole."""
    sizes = out_and_in(module, model.facts.hidden)
    assert sizes is not None  # is_target saw to it
    out, into = sizes
    if module.role in TABLES:
        return out + into
    into = -(-into // cut.ways(module)) if is_cut_in(module) else into
    return into + local_out(module, out, model.heads, cut)
