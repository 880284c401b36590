"""What requests take of a card under transformers: their cache, and prompts while computed."""

from __future__ import annotations

from collections.abc import Iterable

from ckptscan.plan.activations import measured
from ckptscan.plan.caches import BESIDE, Caches
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, Term

_WIDTHS = {"float32": 4, "float": 4, "float64": 8}


def width_of(model: Model, ask: Ask) -> int | None:
    """Bytes of a parameter: as config or --dtype say it, None as stored."""
    said = ask.dtype if ask.dtype != "auto" else model.facts.declared_dtype
    if said is None:
        return None
    return _WIDTHS.get(said, 2)


def computed_in(model: Model, ask: Ask) -> int:
    """Bytes of an activation: those of a parameter; 32 bits stay 32 where nothing is said."""
    stored = (leaf.dtype for m in model.inventory.of_role("embedding") for leaf in m.leaves)
    return width_of(model, ask) or (4 if "F32" in stored else 2)


def working(model: Model, ask: Ask, prompt: int, requests: int) -> Term:
    """What prompts of so many tokens take while they go through a layer together."""
    width = computed_in(model, ask)
    hidden = model.facts.hidden or 0
    inner = max((m.shape[-2] for m in model.inventory.of_role("gate", "up", "gate_up")
                 if m.shape and len(m.shape) > 1), default=0)  # fmt: skip
    tokens = prompt * requests
    total = tokens * (2 * inner + 4 * hidden) * width
    logits = tokens * (model.facts.vocabulary or 0) * (4 + width)
    how = (
        f"{requests} x {prompt:,} tokens of prompts x (2 x {inner:,} + 4 x {hidden:,}) x {width} B"
    )
    peak = Term("activation peak", total, how, "estimated", "activations", total // 2,
                total + logits)  # fmt: skip
    return measured(peak, ask.activation_bytes)


def cache_bytes(caches: Caches, layers: Iterable[int | None], length: int) -> int:
    """Bytes of the caches of some layers for one request of a length."""
    held = frozenset(layers)
    return sum(
        cache.tokens(length, 1) * cache.token_bytes + cache.state_bytes
        for index, cache in caches.layers
        if index % BESIDE in held
    )
