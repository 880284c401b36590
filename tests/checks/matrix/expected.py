"""Damage that headers alone do not show: what is lost is lost in many layers, or stands alone.

Only a proof against the tensors that config.json promises (C016 to C018) can find it; `kinds`
counts these as soon as such a check exists. What another check tells is right as well.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from tests.checks.damages import LAYER, Documents, Tensors
from tests.checks.damages import Damage as TensorDamage
from tests.checks.matrix.layers import a_stack, a_tensor

_PROOF = {"S001", "C016", "C017", "C018"}
Choice = Callable[[list[int], int, random.Random], list[int]]


def _scattered(inner: list[int], count: int, rng: random.Random) -> list[int]:
    return rng.sample(inner, count)


def _in_a_row(inner: list[int], count: int, rng: random.Random) -> list[int]:
    start = rng.randrange(len(inner) - count + 1)
    return inner[start : start + count]


def _in_layers(least: int, most: int, choose: Choice) -> TensorDamage:
    """One tensor lost in so many percent of the layers."""

    def damage(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
        stack = a_stack(tensors, documents, rng)
        if stack is None or "architectures" not in documents.get("config", {}):
            return set()
        name = a_tensor(tensors, stack, rng, r"weight$")
        if name is None:
            return set()
        inner = stack[1] if most == 100 else stack[1][1:-1]
        suffix = LAYER.match(name)[3]  # type: ignore[index]
        for index in choose(inner, max(1, len(inner) * rng.randint(least, most) // 100), rng):
            tensors.pop(f"{stack[0]}{index}.{suffix}", None)
        return _PROOF

    return damage


def outside_of_layers(tensors: Tensors, documents: Documents, rng: random.Random) -> set[str]:
    """A tensor that no sibling has: positions, a projector, a pooler."""
    names = [name for name in tensors if not re.search(r"\.\d+\.", name)]
    if not names or "architectures" not in documents.get("config", {}):
        return set()
    name = rng.choice(names)
    del tensors[name]
    return _PROOF | {"S009", "C009", "C008", "E002"}


EXPECTED: dict[str, TensorDamage] = {
    "tensor dropped in 15-25 % of the layers": _in_layers(15, 25, _scattered),
    "tensor dropped in 25-40 % of the layers, in a row": _in_layers(25, 40, _in_a_row),
    "tensor dropped in 60-90 % of the layers": _in_layers(60, 90, _scattered),
    "tensor dropped in all layers": _in_layers(100, 100, _scattered),
    "tensor outside of layers dropped": outside_of_layers,
}
