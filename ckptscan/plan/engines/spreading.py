"""What engines that lay whole layers on cards have in common: limits, doubts, longest request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ckptscan.plan.caches import Caches
from ckptscan.plan.kernels import unread
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, Rank
from ckptscan.plan.verdict import about_card, beyond_context, gaps


def with_sequences(ask: Ask) -> Ask:
    """What was asked with one number of sequences: the requests, else --max-num-seqs."""
    sequences = ask.requests or ask.max_seqs
    return replace(ask, requests=sequences, max_seqs=sequences or 1)


def longest(holds: Callable[[int], bool], most: int, step: int = 1) -> int:
    """The most tokens, up to `most` and in whole steps below it, that there is room for."""
    low, high = 0, -(-most // step)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle * step) else (low, middle - 1)
    return min(low * step, most)


def in_the_way(family: str, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Iterator[str]:
    """What stands against a deployment on these cards, beside what lies on none."""
    yield from gaps(model)
    yield from unread(model, family, frozenset())
    yield from beyond_context(model, ask)
    for rank in ranks:
        over = rank.nbytes - rank.capacity
        if over > 0:
            yield f"card {rank.rank} would hold {rank.nbytes:,} B, {over:,} B more than it has"


def not_known(model: Model, ask: Ask, caches: Caches) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    context = model.facts.context
    if not model.facts.has_config:
        yield "no config.json: context, windows and heads are not known; give --max-len"
    elif context.label == "assumed" and ask.max_len == context.value:
        yield f"{context.how}: {context.value:,} tokens taken; give --max-len"
    yield from about_card(ask)
    if caches.label == "assumed":
        yield "heads are not known: keys and values are taken to divide evenly"
