"""What stands in the way of a deployment, and what the plan rests on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckptscan.hardware import Card
from ckptscan.plan.caches import Cached
from ckptscan.plan.kernels import unrunnable, unrunnable_dtype
from ckptscan.plan.model import Model
from ckptscan.plan.values import KV, Ask, Rank

if TYPE_CHECKING:
    from ckptscan.plan.engines.base import Profile


def why_not(
    engine: Profile, model: Model, ask: Ask, ranks: tuple[Rank, ...], kv: KV
) -> Iterator[str]:
    """What is in the way of this deployment."""
    yield from gaps(model)
    length = ask.max_len or 0
    card = ask.devices.card if ask.devices is not None else None
    yield from unrunnable(model, card, engine.name, engine.unknown_schemes)
    yield from beyond_context(model, ask)
    tight = min(ranks, key=lambda rank: rank.left)
    if tight.left <= 0 and ask.kv_bytes is None:
        yield (
            f"rank {tight.rank} takes {tight.fixed:,} B before any cache, "
            f"{-tight.left:,} B more than it may use"
        )
        return
    if not kv.groups:
        return
    if card is not None and (ask.kv_bytes is not None or ask.blocks is not None):
        yield from _beyond_card(ranks, card)
    if kv.longest < length:
        yield (
            f"one request of {length:,} tokens takes {kv.needed:,} B of cache; "
            f"{kv.longest:,} tokens are the most"
        )
    elif ask.requests and kv.concurrency < ask.requests:
        yield f"{ask.requests} requests of {length:,} tokens: room for {kv.concurrency:.2f}"


def _beyond_card(ranks: tuple[Rank, ...], card: Card) -> Iterator[str]:
    """That a cache of a size that was said leaves no room for the rest."""
    fullest = max(ranks, key=lambda rank: rank.nbytes)
    over = fullest.nbytes - card.total_bytes
    if over > 0:
        yield (
            f"rank {fullest.rank} would take {fullest.nbytes:,} B with the cache asked for, "
            f"{over:,} B more than the card has"
        )


def gaps(model: Model) -> Iterator[str]:
    """That files or tensors of the checkpoint are not there, or no rule for its cache is."""
    checkpoint = model.structure.checkpoint
    if checkpoint.incomplete:
        missing = f"missing files: {len(checkpoint.missing):,}" if checkpoint.missing else "gaps"
        yield f"the checkpoint is incomplete ({missing}), and what is not there is not counted"
    if model.facts.unmodelled_cache:
        yield f"the cache is not modelled and not counted: {model.facts.unmodelled_cache}"


def beyond_context(model: Model, ask: Ask) -> Iterator[str]:
    """That the context asked for is longer than the model's."""
    length, context = ask.max_len or 0, model.facts.context
    if length > context.value and context.label == "config":
        yield f"the context {length:,} is beyond the model's {context.value:,} ({context.how})"


def about_card(ask: Ask) -> Iterator[str]:
    """Where a card's bytes are from, if they are not what an engine would see."""
    if ask.devices is not None and ask.devices.card.label != "engine":
        yield f"{ask.devices.card.name}: {ask.devices.card.how}"


def assumptions(model: Model, ask: Ask, cached: Cached) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    facts = model.facts
    if not facts.has_config:
        yield (
            "no config.json: dtype, context, windows and rotary tables are not known; "
            "give --max-len and --dtype"
        )
    elif facts.context.label == "assumed" and ask.max_len == facts.context.value:
        yield f"{facts.context.how}: {facts.context.value:,} tokens taken; give --max-len"
    dtype = facts.dtype(ask.dtype)
    if dtype.label == "assumed" and facts.has_config:
        yield dtype.how
    yield from about_card(ask)
    yield from _about_model(model, ask, cached)


def _about_model(model: Model, ask: Ask, cached: Cached) -> Iterator[str]:
    """What is odd about the model, or not known of it."""
    odd = unrunnable_dtype(model, ask.devices.card if ask.devices else None, ask.dtype)
    if odd:
        yield odd
    if not model.attention:
        yield "no attention is known in the shapes: the cache is not counted"
    if cached.caches.label == "assumed":
        yield (
            "heads are not known: keys and values are taken to divide evenly, and sizes of --tp "
            "are judged by rows alone"
        )
    if cached.problem:
        yield cached.problem
    if any(m.role == "other" and len(m.shape or ()) > 1 for m, _ in model.inventory.everything()):
        yield "some modules have no known role; they are taken to stand whole on every rank"
