"""What a group's bytes are made of, in words that add up to the byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from ckptscan.plan.parameters import Parameter

MOST = 4  # kinds of parameters that are named; the rest is one sum


def in_words(parameters: Iterable[Parameter]) -> Mapping[str, str]:
    """By group: `28 x qkv.weight 33,030,144 B + 28 x o.weight 25,690,112 B`, the largest first.

    What kernels pad is not counted.
    """
    by_group: dict[str, Counter[tuple[str, int]]] = {}
    for one in parameters:
        by_group.setdefault(one.group, Counter())[_short(one.name), one.nbytes - one.padding] += 1
    return {group: _sum(counts) for group, counts in by_group.items()}


def _short(name: str) -> str:
    """A parameter's name without its tower and the modules that it lies in, but for the last."""
    return ".".join(name.rpartition(":")[2].split(".")[-2:])


def _sum(counts: Counter[tuple[str, int]]) -> str:
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1] * pair[0][1], pair[0]))
    parts = [
        f"{times} x {name} {size:,} B" if times > 1 else f"{name} {size:,} B"
        for (name, size), times in ordered[:MOST]
    ]
    rest = sum(size * times for (_, size), times in ordered[MOST:])
    return " + ".join([*parts, f"others {rest:,} B"] if rest else parts)
