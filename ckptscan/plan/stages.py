"""Pipeline stages: which layers lie on which, by the rule of each engine."""

from __future__ import annotations

from collections.abc import Callable

from ckptscan.errors import UsageError
from ckptscan.plan.model import Model
from ckptscan.plan.values import Parallel


def stage_layers(
    model: Model, parallel: Parallel, rule: Callable[[int, int], list[int]]
) -> list[list[int]]:
    """The layers of each pipeline stage; raises UsageError where there are too few."""
    indices = model.indices
    if parallel.pp > max(1, len(indices)):
        raise UsageError(
            f"{parallel.pp} stages for {len(indices)} layers",
            f"--pp works from 1 to {len(indices)}",
        )
    found, reached = [], 0
    for count in rule(len(indices), parallel.pp):
        found.append(indices[reached : reached + count])
        reached += count
    return found


def remainder_last(layers: int, stages: int) -> list[int]:
    """Layers of each stage where the last takes what does not divide (vLLM until 0.6)."""
    each, rest = divmod(layers, stages)
    return [*([each] * (stages - 1)), each + rest]


def remainder_before_last(layers: int, stages: int) -> list[int]:
    """Layers of each stage where the last but one, and those before it, take one more (vLLM V1).

    The last stage holds the head, and with few left over the first is spared too.
    """
    each, rest = divmod(layers, stages)
    split = [each] * stages
    for place in range(2, rest + 2):
        split[-place] += 1
    return split


def remainder_to_last_ones(layers: int, stages: int) -> list[int]:
    """Layers of each stage where the last ones take one more each (SGLang)."""
    each, rest = divmod(layers, stages)
    return [each + (place >= stages - rest) for place in range(stages)]
