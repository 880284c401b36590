"""What a plan says beside memory, where it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ckptscan.plan.load import load_plan
from ckptscan.plan.model import Model
from ckptscan.plan.roofline import roofline
from ckptscan.plan.values import MemoryPlan, Section


def with_sections(model: Model, made: MemoryPlan) -> MemoryPlan:
    """A plan with the sections that were asked for."""
    return replace(made, sections=tuple(_asked_for(model, made)))


def _asked_for(model: Model, made: MemoryPlan) -> Iterator[Section]:
    if made.ask.speed is not None:
        yield roofline(model, made, made.ask.speed)
    if made.ask.load is not None:
        yield load_plan(model, made, made.ask.load)
