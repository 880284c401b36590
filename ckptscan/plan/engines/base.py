"""The seam between a plan and an engine: what an engine's profile must give."""

from __future__ import annotations

from typing import Protocol

from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, MemoryPlan


class Engine(Protocol):
    """One engine in the behaviour of some of its versions. Each has a file of its own."""

    @property
    def name(self) -> str:
        """What `--engine` calls it: vllm-0.11."""

    @property
    def covers(self) -> str:
        """The versions that it speaks for, in words."""

    def plan(self, model: Model, ask: Ask) -> MemoryPlan:
        """The memory of a deployment; raises UsageError for what the engine would refuse."""
