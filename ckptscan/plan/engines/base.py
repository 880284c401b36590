"""The seam between a plan and an engine: what an engine's profile must give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ckptscan.plan import caches, weights
from ckptscan.plan.caches import Cached
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut
from ckptscan.plan.values import Ask, MemoryPlan, Parallel, Rank


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


class Profile(weights.Profile, caches.Profile, Protocol):
    """What `outcome` needs to make a plan: ranks with their terms, the cache, the log."""

    @property
    def name(self) -> str:
        """What `--engine` calls it."""

    @property
    def unknown_schemes(self) -> frozenset[str]:
        """Formats of packed weights that it has no kernel for, beside those of other programs."""

    def cards(self, parallel: Parallel) -> int:
        """Cards that one deployment takes."""

    def cut(self, parallel: Parallel) -> Cut:
        """How the ranks of a stage cut what is not experts kept whole; raises UsageError."""

    def ranks(self, model: Model, ask: Ask) -> tuple[Rank, ...]:
        """Ranks that differ, with all terms but the cache."""

    def cached(self, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
        """The cache that they have room for."""

    def expected(self, loaded: int, cached: Cached, ask: Ask) -> tuple[str, ...]:
        """The log lines that the engine should print."""
