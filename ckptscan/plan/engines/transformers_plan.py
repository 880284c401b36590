"""What comes of a device map: whether the cards hold it, how long a context, what to change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.plan.caches import Caches
from ckptscan.plan.devicemap import HOST
from ckptscan.plan.kernels import unread
from ckptscan.plan.model import Model
from ckptscan.plan.outcome import formula
from ckptscan.plan.values import GIB, KV, Ask, Beside, MemoryPlan, Rank, Term

if TYPE_CHECKING:
    from ckptscan.plan.engines.transformers import Transformers

_STEP = 16  # tokens to which the longest context is told


class Mapped(NamedTuple):
    """Cards with what they hold, host and disk with the rest, the caches of all layers."""

    ranks: tuple[Rank, ...]
    beside: tuple[Beside, ...]
    caches: Caches


def planned(engine: Transformers, model: Model, ask: Ask, what: Mapped) -> MemoryPlan:
    """The plan of a deployment, whether it fits or not."""
    kv = _kv(model, ask, what)
    against = tuple(_why_not(model, ask, what))
    return MemoryPlan(
        engine.name,
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
    """The cache: what is left on the tightest card decides."""
    from ckptscan.plan.engines.transformers import cache_bytes

    caches, length = what.caches, ask.max_len or 1
    held = [(rank.left, frozenset(rank.layers)) for rank in what.ranks if len(rank.layers)]
    most = max(length, model.facts.context.value)

    def holds(tokens: int, requests: int = 1) -> bool:
        return all(requests * cache_bytes(caches, places, tokens) <= left for left, places in held)

    needed = sum(cache_bytes(caches, places, length) for _, places in held)
    room = min(
        (max(0, left) / max(1, cache_bytes(caches, places, length)) for left, places in held),
        default=0.0,
    )
    is_kept = bool(caches.layers) and bool(needed)
    longest = _longest(holds, 1, most) if held else 0
    each = _longest(holds, ask.requests, most) if ask.requests and held else None
    size = caches.token_bytes
    how = formula(model, ask, size, caches.dtype.how)
    tokens = int(room * length) if is_kept else 0
    groups = (f"{len(caches.layers)} layers",) if is_kept else ()
    return KV(
        size, caches.state_bytes, size, caches.dtype.name, caches.label, how, 1, tokens, tokens,
        room if is_kept else 0.0, length, longest, needed, each, groups,
        {
            "cache": f"requests x {length:,} tokens; nothing is taken beforehand",
            "requests": "what is left on the tightest card / the cache of a request there",
            "longest": f"the most tokens, in steps of {_STEP}, that every card has room for",
        },
    )  # fmt: skip


def _longest(holds: object, requests: int, most: int) -> int:
    assert callable(holds)
    low, high = 0, most // _STEP
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle * _STEP, requests):
            low = middle
        else:
            high = middle - 1
    return low * _STEP


def _why_not(model: Model, ask: Ask, what: Mapped) -> Iterator[str]:
    """What is in the way; layers on the host are, unless --host-memory allows them."""
    checkpoint = model.structure.checkpoint
    if checkpoint.incomplete:
        yield "the checkpoint is incomplete, and what is not there is not counted"
    yield from unread(model, "transformers", frozenset())
    length, context = ask.max_len or 0, model.facts.context
    if length > context.value and context.label == "config":
        yield f"the context {length:,} is beyond the model's {context.value:,} ({context.how})"
    for rank in what.ranks:
        over = rank.nbytes - rank.capacity
        if over > 0:
            yield f"card {rank.rank} would hold {rank.nbytes:,} B, {over:,} B more than it has"
    for one in what.beside:
        if one.nbytes and (one.place != HOST or ask.local.host_bytes is None):
            yield f"{one.nbytes:,} B of weights lie on {_where(one)}, and are copied at each step"


def _where(one: Beside) -> str:
    return "the host" if one.place == HOST else "disk"


def _assumptions(model: Model, ask: Ask, what: Mapped) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    facts = model.facts
    if not facts.has_config:
        yield "no config.json: context, windows and heads are not known; give --max-len"
    elif facts.context.label == "assumed":
        yield f"{facts.context.how}: {facts.context.value:,} tokens taken; give --max-len"
    if ask.devices is not None and ask.devices.card.label != "engine":
        yield f"{ask.devices.card.name}: {ask.devices.card.how}"
    yield "blocks are taken in the order of the names; a layer is never torn apart"
    if any(module.is_packed for module, _ in model.inventory.everything()):
        yield "packed weights stay packed, where the kernel for them is installed"
    if what.caches.label == "assumed":
        yield "heads are not known: keys and values are taken to divide evenly"


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
