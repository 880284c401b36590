"""What would hold a model: cards and how many of them; on one card, contexts and requests.

Every cell is a whole plan by the engine's own rules; what can't hold the bytes as they are stored
is not tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.hardware import CARDS, Card, Devices
from ckptscan.plan.engines import engine_named
from ckptscan.plan.ggml import mix_named
from ckptscan.plan.gguf import INPUT, gguf_of
from ckptscan.plan.kernels import unserved_card
from ckptscan.plan.model import Model
from ckptscan.plan.planning import model_of, planned
from ckptscan.plan.spread import family_of, spreads
from ckptscan.plan.training.deployment import DEFAULT_SEQUENCE
from ckptscan.plan.values import TRAINING, Ask, MemoryPlan, Parallel, Rank
from ckptscan.structure import Structure

SIZES = (1, 2, 4, 8, 16)
LEAST_CONTEXT = 1024
MOST_REQUESTS = 256
FEWEST_BITS = 16  # times fewer bytes that a what-if may make of those stored


class Holder(NamedTuple):
    """Cards that hold the model: how many of which, what they have in all, what is left over.

    `headroom` is bytes of the tightest card once the wanted requests are in; `requests` how many
    of the wanted context there is room for; `parallel` is how the cards share the model, `recipe`
    the formats that it takes there.
    """

    card: Card
    cards: int
    total: int
    headroom: int
    requests: float
    longest: int
    parallel: Parallel
    recipe: str | None = None


class Stop(NamedTuple):
    """One context on given cards: which numbers of requests fit, the most, why no more."""

    context: int
    fits: tuple[int, ...]
    most: float
    why: str


class Holders(NamedTuple):
    """What holds a model at a context.

    `tried` counts what was looked at, `refused` is why the largest of them does not hold it.
    """

    engine: str
    context: int
    requests: int
    holders: tuple[Holder, ...]
    tried: int
    refused: str

    @property
    def holds(self) -> bool:
        """Whether anything does."""
        return bool(self.holders)


class Matrix(NamedTuple):
    """Contexts and requests on some cards of one kind."""

    engine: str
    devices: Devices
    cards: int
    columns: tuple[int, ...]
    rows: tuple[Stop, ...]

    @property
    def holds(self) -> bool:
        """Whether one request of the longest context fits."""
        return bool(self.rows[-1].fits)


def holders(structure: Structure, ask: Ask) -> Holders:
    """The cards of the catalogue that hold a model at the wanted context, fewest bytes first."""
    model, name = model_of(structure), engine_named(ask.engine).name
    least = _least(name, model, ask)
    found: list[Holder] = []
    tried, refused, biggest = 0, "the weights alone are more than they have", 0
    for card in _different(name):
        for size in (1,) if card.is_apple else SIZES:
            tried += 1
            if least > card.total_bytes * size:
                continue
            one = _split(model, _with(ask, card, size, name))
            if isinstance(one, MemoryPlan) and one.fits:
                found.append(_holder(card, size, one))
            elif card.total_bytes * size >= biggest:
                biggest = card.total_bytes * size
                refused = one if isinstance(one, str) else one.why_not[0]
    found.sort(key=lambda holder: (holder.total, holder.cards, holder.card.name))
    if ask.train is not None:
        context = ask.train.seq_len or DEFAULT_SEQUENCE
        return Holders(TRAINING, context, ask.train.micro_batch, tuple(found), tried, refused)
    context = ask.max_len or model.facts.context.value
    return Holders(name, context, ask.requests or 1, tuple(found), tried, refused)


def _different(engine: str) -> Iterator[Card]:
    """The cards that an engine may run on; of those that are alike the first."""
    seen: set[tuple[int, int]] = set()
    for card in CARDS:
        key = (card.total_bytes, card.capability)
        if key not in seen and not unserved_card(card, engine):
            seen.add(key)
            yield card


def _least(engine: str, model: Model, ask: Ask) -> int:
    """Bytes that no deployment takes less than: a part of those stored, or a GGUF file's."""
    if ask.train is not None:
        return 0
    if engine == "llama.cpp":
        if ask.local.gpu_layers is not None:
            return 0
        outtype = ask.local.outtype or "auto"
        file = gguf_of(model, "bf16" if outtype == "auto" else mix_named(outtype))
        return sum(one.nbytes for one in file.tensors if one.layer != INPUT)
    is_supposed = ask.what_if.quantize is not None or ask.what_if.fits
    return model.structure.main.nbytes // (FEWEST_BITS if is_supposed else 2)


def _with(ask: Ask, card: Card, size: int, engine: str) -> Ask:
    """What is asked of so many cards: ranks that cut tensors, stages of layers, or copies."""
    parallel = Parallel(tp=size, ep=size if ask.parallel.ep > 1 else 1)
    if ask.train is not None:
        parallel = Parallel(dp=size)
    elif spreads(engine):
        parallel = Parallel(pp=size)
    return replace(ask, devices=Devices(card, size), parallel=parallel)


def _split(model: Model, ask: Ask) -> MemoryPlan | str:
    """The plan of the widest cut of tensors that divides; stages take what it leaves."""
    first = one = _tried(model, ask)
    tp, pp = ask.parallel.tp, 1
    while isinstance(one, str) and tp > 1 and ask.parallel.ep == 1:
        tp, pp = tp // 2, pp * 2
        one = _tried(model, replace(ask, parallel=Parallel(tp=tp, pp=pp)))
    return first if isinstance(one, str) else one


def _tried(model: Model, ask: Ask) -> MemoryPlan | str:
    """The plan, or why there is none."""
    try:
        return planned(model, ask)
    except UsageError as error:
        return error.message


def _holder(card: Card, size: int, plan: MemoryPlan) -> Holder:
    kv = plan.kv
    return Holder(card, size, card.total_bytes * size, headroom(plan), kv.concurrency, kv.longest,
                  plan.ask.parallel, plan.ask.what_if.quantize)  # fmt: skip


def headroom(plan: MemoryPlan) -> int:
    """Bytes that are over on the tightest card once the wanted requests are in."""
    if spreads(plan.engine):
        return min(rank.capacity - rank.nbytes for rank in plan.ranks)
    requests = plan.ask.requests or 1
    return min(rank.left - _cached(plan, rank, requests) for rank in plan.ranks)


def _cached(plan: MemoryPlan, rank: Rank, requests: int) -> int:
    """Bytes of cache that so many requests take on a rank: a stage keeps its own layers' only."""
    if plan.ask.parallel.pp == 1 or not plan.kv.concurrency:
        return plan.kv.needed * requests
    return int(rank.part("kv") * requests / plan.kv.concurrency)


def matrix(structure: Structure, ask: Ask) -> Matrix:
    """Which contexts and how many requests fit on the cards that are given."""
    if ask.train is not None:
        raise UsageError("contexts by requests are of a served model",
                         "leave --gpu out to see what trains it")  # fmt: skip
    model = model_of(structure)
    columns = tuple(1 << power for power in range(MOST_REQUESTS.bit_length()))
    first = planned(model, replace(ask, requests=1))
    assert first.ask.devices is not None  # settled by every engine
    rows = tuple(_row(model, ask, context, columns) for context in _contexts(model, ask))
    return Matrix(first.engine, first.ask.devices, first.cards, columns, rows)


def _contexts(model: Model, ask: Ask) -> list[int]:
    """Powers of two up to the longest context wanted, and that one itself."""
    most = ask.max_len or model.facts.context.value
    powers = (1 << power for power in range(10, most.bit_length()))
    return sorted({*(size for size in powers if LEAST_CONTEXT <= size < most), most})


def _row(model: Model, ask: Ask, context: int, columns: tuple[int, ...]) -> Stop:
    """One context: requests are added until they do not fit."""
    asked = replace(ask, max_len=context, max_seqs=None if ask.requests else ask.max_seqs)
    one = _tried(model, replace(asked, requests=1))
    if isinstance(one, str) or not one.fits:
        why = one if isinstance(one, str) else one.why_not[0]
        return Stop(context, (), 0.0, why)
    fits: list[int] = []
    most, limit = one.kv.concurrency, _limit(one)
    for count in columns:
        plan = one
        if family_of(one.engine) == "transformers" and count > 1:
            plan = planned(model, replace(asked, requests=count))
        if (plan.kv.groups and (not plan.fits or most < count)) or count > limit:
            return Stop(context, tuple(fits), most, _why(one, count, limit))
        fits.append(count)
    return Stop(context, tuple(fits), most, "")


def _limit(plan: MemoryPlan) -> int:
    """Requests that the engine runs at once, whatever memory there is."""
    return 1 << 40 if spreads(plan.engine) else plan.ask.max_seqs or 1 << 40


def _why(plan: MemoryPlan, count: int, limit: int) -> str:
    """Why so many requests do not fit."""
    if count > limit:
        return f"--max-num-seqs {limit}"
    if family_of(plan.engine) == "transformers":
        return f"cache and activations of {count} requests"
    if spreads(plan.engine):
        room = sum(max(0, rank.left) for rank in plan.ranks)
        take = f"{count} requests take {count * plan.kv.needed:,} B of cache"
        return f"{take}, {room:,} B are left on all cards"
    fullest = min(plan.ranks, key=lambda rank: rank.left - _cached(plan, rank, count))
    taken, room, stages = _cached(plan, fullest, count), fullest.left, plan.ask.parallel.pp
    where, there = "", "a card"
    if stages > 1:
        where, there = f" on stage {fullest.stage + 1} of {stages}", "there"
    how = f"left {there}"
    if plan.ask.kv_bytes is not None:
        room, how = plan.ask.kv_bytes, f"given {there}"
    return f"{count} requests take {taken:,} B of cache{where}, {max(0, room):,} B are {how}"
