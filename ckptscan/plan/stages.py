"""Pipeline stages: which layers lie on which, by the rule of each engine."""

from __future__ import annotations


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
