"""What comes of a device map: whether the cards hold it, how long a context, what to change."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from ckptscan.plan.caches import Caches
from ckptscan.plan.devicemap import HOST
from ckptscan.plan.engines.spreading import in_the_way, longest, not_known
from ckptscan.plan.engines.transformers_requests import cache_bytes, working
from ckptscan.plan.model import Model
from ckptscan.plan.outcome import formula
from ckptscan.plan.values import GIB, KV, Ask, Beside, MemoryPlan, Rank, Term

_HOW = {
    "cache": "requests x their tokens; nothing is taken beforehand",
    "requests": "what is left on the tightest card / the cache of a request there and its prompt",
    "longest": "the most tokens, up to the model's, that every card has room for",
}


class Mapped(NamedTuple):
    """Cards with what they hold, host and disk with the rest, the caches of all layers.

    `prompt` is the tokens of a prompt where they were said; else it is as long as the context.
    """

    ranks: tuple[Rank, ...]
    beside: tuple[Beside, ...]
    caches: Caches
    prompt: int | None = None


def planned(name: str, model: Model, ask: Ask, what: Mapped) -> MemoryPlan:
    """The plan of a deployment, whether it fits or not."""
    kv = _kv(model, ask, what)
    against = tuple(_why_not(model, ask, what))
    return MemoryPlan(
        name,
        ask,
        len(what.ranks),
        what.ranks,
        kv,
        {
            "model_loading_gib": round(what.ranks[0].loaded / GIB, 4),
            "kv_cache_gib": round(min(rank.left for rank in what.ranks) / GIB, 2),
            "kv_tokens": kv.tokens,
            "max_concurrency": round(kv.concurrency, 2),
        },
        (),
        (),
        not against,
        against,
        (),
        tuple(_assumptions(model, ask, what)),
        (),
        tuple(_changes(model, what)),
        {},
        what.beside,
    )


def _kv(model: Model, ask: Ask, what: Mapped) -> KV:
    """The cache: what is left on the tightest card decides, prompts while computed counted."""
    caches, length = what.caches, ask.max_len or 1
    held = [
        (rank.left + rank.part("activations"), frozenset(rank.layers))
        for rank in what.ranks
        if len(rank.layers)
    ]
    most = max(length, model.facts.context.value)

    def taken(places: frozenset[int], tokens: int, requests: int) -> int:
        prompts = working(model, ask, what.prompt or tokens, requests).nbytes
        return requests * cache_bytes(caches, places, tokens) + prompts

    def holds(tokens: int, requests: int = 1) -> bool:
        return all(taken(places, tokens, requests) <= left for left, places in held)

    def room(left: int, places: frozenset[int]) -> float:
        constant = taken(places, length, 0)
        return max(0, left - constant) / max(1, taken(places, length, 1) - constant)

    needed = sum(cache_bytes(caches, places, length) for _, places in held)
    is_kept = bool(needed)
    requests = min((room(*one) for one in held), default=0.0) if is_kept else 0.0
    several = partial(holds, requests=ask.requests or 1)
    each = longest(several, most) if ask.requests and held else None
    size = caches.token_bytes
    how = formula(model, ask, size, caches.dtype.how)
    tokens = int(requests * length)
    groups = (f"{len(caches.layers)} layers",) if is_kept else ()
    return KV(
        size, caches.state_bytes, size, caches.dtype.name, caches.label, how, 1, tokens, tokens,
        requests, length, longest(holds, most) if held else 0, needed, each, groups, _HOW,
    )  # fmt: skip


def _why_not(model: Model, ask: Ask, what: Mapped) -> Iterator[str]:
    """What is in the way; layers on the host are, unless --host-memory allows them."""
    yield from in_the_way("transformers", model, ask, what.ranks)
    for one in what.beside:
        if one.nbytes and (one.place != HOST or ask.local.host_bytes is None):
            yield f"{one.nbytes:,} B of weights lie on {_where(one)}, and are copied at each step"


def _where(one: Beside) -> str:
    return "the host" if one.place == HOST else "disk"


def _assumptions(model: Model, ask: Ask, what: Mapped) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    yield from not_known(model, ask, what.caches)
    yield "blocks are taken in the order of the names; a layer is never torn apart"
    if any(module.is_packed for module, _ in model.inventory.everything()):
        yield "packed weights stay packed, where the kernel for them is installed"


def _changes(model: Model, what: Mapped) -> Iterator[Term]:
    """Bytes of the checkpoint that are held otherwise or not at all."""
    how = "against the bytes stored"
    stored = model.structure.nbytes
    drafting = model.structure.mtp
    if drafting is not None:
        yield Term("multi-token prediction", -drafting.nbytes, "not loaded", "engine")
        stored -= drafting.nbytes
    tied = sum(m.nbytes for m in model.inventory.of_role("lm_head")) if model.facts.is_tied else 0
    if tied:
        yield Term("head that shares the embedding's table", -tied, how, "engine")
        stored -= tied
    held = sum(rank.part("weights") for rank in what.ranks)
    held += sum(one.nbytes for one in what.beside)
    if held != stored:
        yield Term("cast, buffers and parts", held - stored, how, "engine")
