"""The memory of a deployment: checkpoint and hardware -> terms, cache, what will be logged."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

from ckptscan.errors import UsageError
from ckptscan.plan.engines import DEFAULT, ENGINES, engine_named
from ckptscan.plan.model import Model
from ckptscan.plan.sections import with_sections
from ckptscan.plan.training import train
from ckptscan.plan.values import (
    KV,
    Ask,
    LoadAsk,
    Local,
    MemoryPlan,
    Parallel,
    Rank,
    Refusal,
    Row,
    Section,
    Speed,
    Term,
    Training,
    WhatIf,
)
from ckptscan.plan.whatif import fitted, parse_recipe, requantized
from ckptscan.structure import Structure

__all__ = [
    "DEFAULT",
    "ENGINES",
    "KV",
    "Ask",
    "LoadAsk",
    "Local",
    "MemoryPlan",
    "Model",
    "Parallel",
    "Rank",
    "Refusal",
    "Row",
    "Section",
    "Speed",
    "Term",
    "Training",
    "WhatIf",
    "engine_named",
    "plan",
]


_ASK = Ask()


def plan(structure: Structure, ask: Ask = _ASK) -> MemoryPlan:
    """The memory of a deployment of this checkpoint."""
    if not structure.tensors:
        raise UsageError("there is no tensor to plan for")
    if any(role.startswith("lora.") for role in structure_roles(structure)):
        raise UsageError(
            "this is an adapter, not a model", "plan for its base model; an adapter adds little"
        )
    return _planned(Model.of(structure), ask)


# engines that lay weights out by themselves -> what they are told instead of a what-if
_OF_THEIR_OWN = {
    "llama.cpp": "--outtype names the file's format, as q4_k_m",
    "transformers-4": "plan what-ifs with --engine vllm-0.11 or sglang-0.5",
    "transformers": "plan what-ifs with --engine vllm-0.11 or sglang-0.5",
}


def _planned(model: Model, ask: Ask) -> MemoryPlan:
    """The plan of a model as it is supposed to be."""
    what_if, name = ask.what_if, engine_named(ask.engine).name
    if name in _OF_THEIR_OWN and (what_if.quantize or what_if.lora_rank or what_if.fits):
        raise UsageError(f"{name} does not take what-ifs of weights", _OF_THEIR_OWN[name])
    if ask.what_if.fits:
        return fitted(model, ask, partial(_planned, model))
    if ask.what_if.quantize is not None:
        model = requantized(model, parse_recipe(ask.what_if.quantize))
    if ask.train is not None:
        return train(model, ask, ask.train)
    return with_sections(model, engine_named(ask.engine).plan(model, ask))


def structure_roles(structure: Structure) -> frozenset[str]:
    """The roles that tensors have."""
    return frozenset(end.role.name for end in structure.meanings.values())


class _Callable(ModuleType):
    """Python binds a subpackage over a name of its parent: so `ckptscan.plan` may be called too."""

    def __call__(self, structure: Structure, ask: Ask = _ASK) -> MemoryPlan:
        return plan(structure, ask)


sys.modules[__name__].__class__ = _Callable
