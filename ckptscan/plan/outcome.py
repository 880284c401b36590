"""Terms and cache together: what fits, what the engine will print, what to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ckptscan.errors import UsageError
from ckptscan.plan.caches import Cached, caches_of
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut
from ckptscan.plan.validity import candidates, refusals, refused
from ckptscan.plan.values import GIB, KV, Ask, MemoryPlan, Rank, Term
from ckptscan.plan.weights import whole

if TYPE_CHECKING:
    from ckptscan.plan.engines.base import Profile


def outcome(engine: Profile, model: Model, ask: Ask) -> MemoryPlan:
    """The plan of a deployment, whether it fits or not."""
    refuse_impossible(engine, model, ask)
    ranks = engine.ranks(model, ask)
    cached = engine.cached(model, ask, ranks)
    ranks = tuple(_with_cache(rank, cached) for rank in ranks)
    kv = _kv(engine, model, ask, cached)
    sizes = candidates(model.structure.attention, ask.parallel.tp)
    valid, against = refusals(model.inventory, model.structure.attention, sizes, model.facts.hidden)
    why_not = tuple(_why_not(model, ask, ranks, kv))
    loaded = ranks[0].loaded
    return MemoryPlan(
        engine.name,
        ask,
        engine.cards(ask.parallel),
        ranks,
        kv,
        _predictions(ranks[0], cached),
        valid,
        against,
        not why_not,
        why_not,
        tuple(_advice(engine, model, ask, kv, valid)) if why_not else (),
        tuple(_assumptions(model, ask, cached)),
        engine.expected(loaded, cached, ask),
        left_out(engine, model, ask),
    )


def refuse_impossible(engine: Profile, model: Model, ask: Ask) -> None:
    """Raise UsageError for a split that no rank can hold."""
    parallel, devices = ask.parallel, ask.devices
    cards = engine.cards(parallel)
    if devices is not None and devices.count is not None and cards > devices.count:
        raise UsageError(
            f"tp {parallel.tp}, pp {parallel.pp} and dp {parallel.dp} take "
            f"{cards} cards, {devices.count} are there",
            "say more cards, or split less",
        )
    experts = model.structure.parameters.experts
    wanted = cards // parallel.pp
    if parallel.ep > 1 and (experts is None or parallel.ep != wanted):
        known = "the model has no experts" if experts is None else f"it is tp x dp = {wanted}"
        raise UsageError(f"--ep {parallel.ep} does not work", f"{known}; --ep 1 is without")
    moe = 1 if parallel.ep > 1 else wanted
    why = refused(
        model.inventory, model.structure.attention, Cut(parallel.tp, moe), model.facts.hidden
    )
    if why:
        sizes = candidates(model.structure.attention, 1)
        valid, _ = refusals(model.inventory, model.structure.attention, sizes, model.facts.hidden)
        works = ", ".join(map(str, valid))
        raise UsageError(f"tp {parallel.tp} does not work: {why}", f"these do: {works}")


def _with_cache(rank: Rank, cached: Cached) -> Rank:
    """A rank with the blocks that it will hold as a term."""
    if rank.rank not in cached.held:
        return rank
    size, how = cached.held[rank.rank]
    term = Term("KV cache", size, how, "engine", "kv")
    return replace(rank, terms=(*rank.terms, term))


def _kv(engine: Profile, model: Model, ask: Ask, cached: Cached) -> KV:
    single = caches_of(engine, model, ask, 1)
    return KV(
        single.token_bytes,
        single.state_bytes,
        cached.caches.token_bytes,
        single.dtype.name,
        single.label,
        formula(model, ask, single.token_bytes, single.dtype.how),
        cached.block,
        cached.blocks,
        cached.tokens,
        cached.concurrency,
        ask.max_len or 0,
        cached.longest,
        cached.needed,
        cached.longest_each,
        cached.groups,
    )


def formula(model: Model, ask: Ask, nbytes: int, how: str) -> str:
    """How the bytes of a token come about."""
    parts = []
    for one in model.attention:
        if one.latent is not None:
            parts.append(f"{len(one.layers)} layers x ({one.latent.kv_rank} + {one.latent.rope})")
        elif one.kv_heads and one.head_dim:
            values = one.v_head_dim or one.head_dim
            widths = (
                f"2 x {one.head_dim}" if values == one.head_dim else f"({one.head_dim} + {values})"
            )
            parts.append(f"{len(one.layers)} layers x {one.kv_heads} KV heads x {widths}")
    return f"{' + '.join(parts) or 'rows of keys and values'} = {nbytes:,} B a token; {how}"


def _predictions(rank: Rank, cached: Cached) -> dict[str, int | float | None]:
    found: dict[str, int | float | None] = {
        "model_loading_gib": round(rank.loaded / GIB, 4),
        "kv_cache_gib": round(cached.available / GIB, 2),
        "kv_tokens": cached.tokens,
        "kv_blocks": cached.blocks,
        "max_concurrency": round(cached.concurrency, 2),
    }
    return found | dict(cached.more)


def _why_not(model: Model, ask: Ask, ranks: tuple[Rank, ...], kv: KV) -> Iterator[str]:
    """What is in the way of this deployment."""
    length = ask.max_len or 0
    context = model.facts.context
    if length > context.value and context.label == "config":
        yield f"the context {length:,} is beyond the model's {context.value:,} ({context.how})"
    tight = min(ranks, key=lambda rank: rank.left)
    if tight.left <= 0 and ask.kv_bytes is None:
        yield (
            f"rank {tight.rank} takes {tight.fixed:,} B before any cache, "
            f"{-tight.left:,} B more than it may use"
        )
        return
    if not kv.groups:
        return
    if kv.longest < length:
        yield (
            f"one request of {length:,} tokens takes {kv.needed:,} B of cache; "
            f"{kv.longest:,} tokens are the most"
        )
    elif ask.requests and kv.concurrency < ask.requests:
        yield f"{ask.requests} requests of {length:,} tokens: room for {kv.concurrency:.2f}"


def _advice(
    engine: Profile, model: Model, ask: Ask, kv: KV, valid: tuple[int, ...]
) -> Iterator[str]:
    """What makes it fit, each tried on its own."""
    if kv.longest and kv.longest < (ask.max_len or 0):
        yield f"--max-len {kv.longest}"
    if ask.requests and kv.longest_each:
        yield f"--max-len {kv.longest_each} for {ask.requests} requests"
    for name, other in _others(ask, valid):
        ranks = engine.ranks(model, other)
        cached = engine.cached(model, other, ranks)
        holds = min(rank.left for rank in ranks) > 0 and cached.longest >= (other.max_len or 0)
        if holds and (not ask.requests or cached.concurrency >= ask.requests):
            yield name
            if name.startswith("--tp"):
                return


def _others(ask: Ask, valid: tuple[int, ...]) -> Iterator[tuple[str, Ask]]:
    """Other ways to ask, the cheapest first."""
    if (ask.utilization or 0) < 0.95:
        yield "--gpu-memory-utilization 0.95", replace(ask, utilization=0.95)
    if (ask.max_seqs or 0) > 64 and ask.activation_bytes is None:
        yield "--max-num-seqs 64", replace(ask, max_seqs=64)
    if ask.kv_dtype == "auto":
        yield "--kv-cache-dtype fp8", replace(ask, kv_dtype="fp8")
    for tp in valid:
        if tp > ask.parallel.tp and ask.parallel.ep == 1:
            yield f"--tp {tp}", replace(ask, parallel=ask.parallel._replace(tp=tp))


def _assumptions(model: Model, ask: Ask, cached: Cached) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    facts = model.facts
    if not facts.has_config:
        yield (
            "no config.json: dtype, context, windows and rotary tables are not known; "
            "give --max-len and --dtype"
        )
    elif facts.context.label == "assumed":
        yield f"{facts.context.how}: {facts.context.value:,} tokens taken; give --max-len"
    dtype = facts.dtype(ask.dtype)
    if dtype.label == "assumed" and facts.has_config:
        yield dtype.how
    if ask.devices is not None and ask.devices.card.label != "engine":
        yield f"{ask.devices.card.name}: {ask.devices.card.how}"
    if not model.attention:
        yield "no attention is known in the shapes: the cache is not counted"
    if cached.caches.label == "assumed":
        yield "heads are not known: keys and values are taken to divide evenly"
    if cached.problem:
        yield cached.problem
    if model.structure.checkpoint.configs:
        yield "a pipeline of components: no part of it is served by vLLM; all are counted"
    if any(term.name == "other" for term in _terms(model)):
        yield "some modules have no known role; they are taken to stand whole on every rank"


def _terms(model: Model) -> Iterator[Term]:
    """Modules without a role, as terms."""
    for module, _ in model.inventory.everything():
        if module.role == "other" and len(module.shape or ()) > 1:
            yield Term("other", module.nbytes, "", "assumed")


def left_out(engine: Profile, model: Model, ask: Ask) -> tuple[Term, ...]:
    """Bytes of the checkpoint that the engine holds otherwise or not at all."""
    loaded = whole(engine, model, ask)
    found = [
        Term(reason, nbytes, "against the bytes stored", "engine")
        for reason, nbytes in sorted(loaded.changes.items())
        if nbytes
    ]
    everything = model.inventory.everything()
    joined = sum(module.nbytes * times // module.times for module, times in everything)
    again = joined - model.structure.main.nbytes
    if again:
        found.append(Term("stored in several parts", again, "held once", "engine"))
    drafting = model.structure.mtp
    if drafting is not None:
        how = "loaded for speculative decoding alone"
        found.append(Term("multi-token prediction", -drafting.nbytes, how, "engine"))
    return tuple(found)
