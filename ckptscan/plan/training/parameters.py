"""What of a model one rank trains: parameters by tensor and stage, adapters, packed weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from ckptscan.dtypes import DTYPES
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.lora import is_target, standing, widths
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import (
    Cut,
    is_routed,
    local_shape,
    times_of_rank,
)
from ckptscan.plan.values import WhatIf

_FLOATS = frozenset(("F64", "F32", "F16", "BF16"))


class Held(NamedTuple):
    """Parameters of one rank: all, the most that one module owns, those of adapters.

    `stored` is bytes of all as they are stored, floats in 16 bits; `targets` linear layers have
    adapters; `widest` is elements of the largest linear layer. `experts` are those of `parameters`
    that are routed.
    """

    parameters: int
    largest: int
    adapters: int
    targets: int
    stored: int
    widest: int
    experts: int = 0


def held(
    model: Model, layers: Sequence[int], ends: tuple[bool, bool], cut: Cut, adapted: WhatIf
) -> Held:
    """What a rank of one stage holds; `ends` says whether it is the first, the last.

    `adapted` tells of the adapters; packed weights count as the parameters that they stand for.
    """
    total = largest = adapters = targets = stored = widest = experts = 0
    heads, hidden = model.heads, model.facts.hidden
    for module, count in _modules(model, layers, ends):
        times = count * times_of_rank(module, cut)
        shapes = [local_shape(module, leaf, heads, cut, hidden) for leaf in logical(module)]
        own = sum(map(prod, shapes))
        total += own * times
        experts += own * times * is_routed(module)
        largest = max(largest, own)
        stored += times * sum(_stored(module, leaf, model, cut) for leaf in module.leaves)
        if is_target(module, hidden, ("linear",)):
            widest = max(widest, own)
        if is_target(module, hidden, adapted.lora_targets):
            targets += count * standing(module, cut)
            adapters += (
                count * standing(module, cut) * adapted.lora_rank * widths(module, model, cut)
            )
    return Held(total, largest, adapters, targets, stored, widest, experts)


def logical(module: Module) -> Iterator[Leaf]:
    """The tensors of a module as they are trained: one weight in floats, and its biases."""
    has_weight = False
    for leaf in module.leaves:
        if leaf.role in ("buffer", "rope", "quantization"):
            continue
        if leaf.dtype in _FLOATS:
            yield leaf
        elif not has_weight and module.shape is not None:
            has_weight = True
            yield Leaf("weight", leaf.role, "BF16", module.shape, 2 * prod(module.shape))


def _stored(module: Module, leaf: Leaf, model: Model, cut: Cut) -> int:
    """Bytes of a tensor on one rank as it is stored; floats in 16 bits."""
    if leaf.role in ("buffer", "rope"):
        return 0
    numel = prod(local_shape(module, leaf, model.heads, cut, model.facts.hidden))
    bits = DTYPES[leaf.dtype].bits or 8 if leaf.dtype in DTYPES else 8
    is_weight = leaf.dtype in _FLOATS and leaf.role != "quantization"
    return numel * (16 if is_weight else bits) // 8


def _modules(
    model: Model, layers: Sequence[int], ends: tuple[bool, bool]
) -> Iterator[tuple[Module, int]]:
    """The modules of a stage, with how many of its layers they stand in."""
    here = frozenset(layers)
    for kind in model.inventory.kinds:
        count = sum(index in here for index in kind.indices)
        for module in kind.modules:
            if count:
                yield module, count
    is_first, is_last = ends
    for module in model.inventory.outside:
        if module.role == "lm_head" and model.facts.is_tied:
            continue
        is_text = module.tower == "text"
        closes = is_text and module.role in ("norm", "lm_head")
        again = is_text and module.role == "embedding" and model.facts.is_tied
        if (is_last if closes else is_first) or (again and is_last):
            yield module, 1
