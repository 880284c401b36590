"""The memory of a deployment: checkpoint and hardware -> terms, cache, what will be logged."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

from ckptscan.plan.advising import advised
from ckptscan.plan.engines import DEFAULT, ENGINES, engine_named
from ckptscan.plan.model import Model
from ckptscan.plan.planning import model_of, planned
from ckptscan.plan.values import (
    KV,
    LABELS,
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
from ckptscan.structure import Structure

__all__ = [
    "DEFAULT",
    "ENGINES",
    "KV",
    "LABELS",
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
    model = model_of(structure)
    one = partial(planned, model)
    return advised(model, one, ask, one(ask))


class _Callable(ModuleType):
    """Python binds a subpackage over a name of its parent: so `ckptscan.plan` may be called too."""

    def __call__(self, structure: Structure, ask: Ask = _ASK) -> MemoryPlan:
        return plan(structure, ask)


sys.modules[__name__].__class__ = _Callable
