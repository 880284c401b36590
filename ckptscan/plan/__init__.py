"""The memory of a deployment: checkpoint and hardware -> terms, cache, what will be logged."""

from __future__ import annotations

from ckptscan.errors import UsageError
from ckptscan.plan.engines import DEFAULT, ENGINES, engine_named
from ckptscan.plan.model import Model
from ckptscan.plan.values import KV, Ask, MemoryPlan, Parallel, Rank, Refusal, Term
from ckptscan.structure import Structure

__all__ = [
    "DEFAULT",
    "ENGINES",
    "KV",
    "Ask",
    "MemoryPlan",
    "Model",
    "Parallel",
    "Rank",
    "Refusal",
    "Term",
    "engine_named",
    "plan",
]


def plan(structure: Structure, ask: Ask = Ask()) -> MemoryPlan:  # noqa: B008  (frozen)
    """The memory of a deployment of this checkpoint."""
    engine = engine_named(ask.engine)
    if not structure.tensors:
        raise UsageError("there is no tensor to plan for")
    if any(role.startswith("lora.") for role in structure_roles(structure)):
        raise UsageError(
            "this is an adapter, not a model", "plan for its base model; an adapter adds little"
        )
    return engine.plan(Model.of(structure), ask)


def structure_roles(structure: Structure) -> frozenset[str]:
    """The roles that tensors have."""
    return frozenset(end.role.name for end in structure.meanings.values())
