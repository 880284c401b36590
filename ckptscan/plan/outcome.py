"""Terms and cache together: what fits, what the engine will print, what to change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ckptscan.errors import UsageError
from ckptscan.plan.caches import Cached, caches_of
from ckptscan.plan.model import Model
from ckptscan.plan.validity import candidates, refused
from ckptscan.plan.values import GIB, KV, LABELS, Ask, MemoryPlan, Rank, Refusal, Term
from ckptscan.plan.verdict import assumptions, why_not
from ckptscan.plan.weights import whole

if TYPE_CHECKING:
    from ckptscan.plan.engines.base import Profile


MAX_CARDS = 100_000


def outcome(engine: Profile, model: Model, ask: Ask) -> MemoryPlan:
    """The plan of a deployment, whether it fits or not."""
    refuse_impossible(engine, model, ask)
    ranks = engine.ranks(model, ask)
    cached = engine.cached(model, ask, ranks)
    ranks = tuple(_with_cache(rank, cached) for rank in ranks)
    kv = _kv(engine, model, ask, cached)
    sizes = candidates(model.structure.attention, ask.parallel.tp)
    valid, against = _sizes(engine, model, ask, sizes)
    against_it = tuple(why_not(engine, model, ask, ranks, kv))
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
        not against_it,
        against_it,
        assumptions=tuple(assumptions(model, ask, cached)),
        expected=engine.expected(loaded, cached, ask),
        left_out=left_out(engine, model, ask),
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
    if cards > MAX_CARDS:
        raise UsageError(f"{cards:,} cards are more than any deployment has", "split less")
    experts = model.structure.parameters.experts
    wanted = cards // parallel.pp
    if parallel.ep > 1 and (experts is None or parallel.ep != wanted):
        known = "the model has no experts" if experts is None else f"it is tp x dp = {wanted}"
        raise UsageError(f"--ep {parallel.ep} does not work", f"{known}; --ep 1 is without")
    cut = engine.cut(parallel)
    why = refused(model.inventory, model.structure.attention, cut, model.facts.hidden)
    if not why:
        return
    valid, _ = _sizes(engine, model, ask, candidates(model.structure.attention, 1))
    whole = cut._replace(moe_tp=1)
    by_experts = refused(model.inventory, model.structure.attention, whole, model.facts.hidden)
    is_way_out = cut.moe_tp > 1 and not by_experts
    also = f"; or --ep {wanted}, which keeps experts whole" if is_way_out else ""
    raise UsageError(
        f"tp {parallel.tp} does not work: {why}",
        f"these do: {', '.join(map(str, valid))}{also}",
    )


def _sizes(
    engine: Profile, model: Model, ask: Ask, sizes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[Refusal, ...]]:
    """The tensor-parallel sizes that work and those that do not; experts whole under --ep."""
    attention, hidden = model.structure.attention, model.facts.hidden
    valid: list[int] = []
    against: list[Refusal] = []
    for tp in sizes:
        try:
            cut = engine.cut(ask.parallel._replace(tp=tp))
        except UsageError as err:
            against.append(Refusal(tp, str(err)))
            continue
        why = refused(model.inventory, attention, cut, hidden)
        if why:
            against.append(Refusal(tp, why))
        else:
            valid.append(tp)
    return tuple(valid), tuple(against)


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
        max(single.label, single.dtype.label, key=LABELS.index)
        if single.dtype.label == "assumed"
        else single.label,
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
        cached.how,
    )


def formula(model: Model, ask: Ask, nbytes: int, how: str) -> str:
    """How the bytes of a token come about."""
    if model.facts.unmodelled_cache:
        return f"not modelled: {model.facts.unmodelled_cache}"
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
    found += model.changed
    whatif = sum(term.nbytes for term in model.changed)
    again = joined - model.structure.main.nbytes - whatif
    if again:
        found.append(Term("stored in several parts", again, "held once", "engine"))
    drafting = model.structure.mtp
    if drafting is not None:
        how = "loaded for speculative decoding alone"
        found.append(Term("multi-token prediction", -drafting.nbytes, how, "engine"))
    return tuple(found)
