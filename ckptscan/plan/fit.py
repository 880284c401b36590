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
from ckptscan.plan.engines.base import Engine
from ckptscan.plan.ggml import mix_named
from ckptscan.plan.gguf import INPUT, gguf_of
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, MemoryPlan, Parallel
from ckptscan.structure import Structure

SIZES = (1, 2, 4, 8, 16)
LEAST_CONTEXT = 1024
MOST_REQUESTS = 256
OLDEST = 70  # compute capability that vLLM and SGLang ask for
SPREADING = ("llama.cpp", "transformers")  # engines that cut by layers and run on Apples


class Holder(NamedTuple):
    """Cards that hold the model: how many of which, what they have in all, what is left over.

    `headroom` is bytes of the tightest card once the wanted requests are in; `requests` how many
    of the wanted context there is room for.
    """

    card: Card
    cards: int
    total: int
    headroom: int
    requests: float
    longest: int


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
    engine, model = engine_named(ask.engine), Model.of(structure)
    spreads = engine.name.startswith(SPREADING)
    least = _least(engine, model, ask)
    found: list[Holder] = []
    tried, refused, biggest = 0, "the weights alone are more than they have", 0
    for card in _different(spreads=spreads):
        for size in (1,) if _is_apple(card) else SIZES:
            tried += 1
            if least > card.total_bytes * size:
                continue
            one = _tried(engine, model, _with(ask, card, size, spreads=spreads))
            if isinstance(one, MemoryPlan) and one.fits:
                found.append(_holder(card, size, one))
            elif card.total_bytes * size >= biggest:
                biggest = card.total_bytes * size
                refused = one if isinstance(one, str) else one.why_not[0]
    found.sort(key=lambda holder: (holder.total, holder.cards, holder.card.name))
    context = ask.max_len or model.facts.context.value
    return Holders(engine.name, context, ask.requests or 1, tuple(found), tried, refused)


def _different(spreads: bool) -> Iterator[Card]:
    """The cards that an engine may run on; of those that are alike the first."""
    seen: set[tuple[int, int]] = set()
    for card in CARDS:
        key = (card.total_bytes, card.capability)
        is_served = not _is_apple(card) and not 0 < card.capability < OLDEST
        if key not in seen and (spreads or is_served):
            seen.add(key)
            yield card


def _least(engine: Engine, model: Model, ask: Ask) -> int:
    """Bytes that no deployment takes less than: half of those stored, or the file that is made."""
    if engine.name == "llama.cpp":
        if ask.local.gpu_layers is not None:
            return 0
        outtype = ask.local.outtype or "auto"
        file = gguf_of(model, "bf16" if outtype == "auto" else mix_named(outtype))
        return sum(one.nbytes for one in file.tensors if one.layer != INPUT)
    return model.structure.main.nbytes // 2


def _is_apple(card: Card) -> bool:
    """Whether it is a machine of its own, which no other can stand beside."""
    return card.name.startswith("Apple")


def _with(ask: Ask, card: Card, size: int, spreads: bool) -> Ask:
    """What is asked of so many cards."""
    ep = size if ask.parallel.ep > 1 else 1
    parallel = Parallel(pp=size) if spreads else Parallel(tp=size, ep=ep)
    return replace(ask, devices=Devices(card, size), parallel=parallel)


def _tried(engine: Engine, model: Model, ask: Ask) -> MemoryPlan | str:
    """The plan, or why there is none."""
    try:
        return engine.plan(model, ask)
    except UsageError as error:
        return error.message


def _holder(card: Card, size: int, plan: MemoryPlan) -> Holder:
    kv = plan.kv
    return Holder(card, size, card.total_bytes * size, headroom(plan), kv.concurrency, kv.longest)


def headroom(plan: MemoryPlan) -> int:
    """Bytes that are over on the tightest card once the wanted requests are in."""
    if plan.engine.startswith(SPREADING):
        return min(rank.capacity - rank.nbytes for rank in plan.ranks)
    return plan.tightest.left - plan.kv.needed * (plan.ask.requests or 1)


def matrix(structure: Structure, ask: Ask) -> Matrix:
    """Which contexts and how many requests fit on the cards that are given."""
    engine, model = engine_named(ask.engine), Model.of(structure)
    columns = tuple(1 << power for power in range(MOST_REQUESTS.bit_length()))
    first = engine.plan(model, replace(ask, requests=1))
    assert first.ask.devices is not None  # settled by every engine
    rows = tuple(_row(engine, model, ask, context, columns) for context in _contexts(model, ask))
    return Matrix(engine.name, first.ask.devices, first.cards, columns, rows)


def _contexts(model: Model, ask: Ask) -> list[int]:
    """Powers of two up to the longest context wanted, and that one itself."""
    most = ask.max_len or model.facts.context.value
    powers = (1 << power for power in range(10, most.bit_length()))
    return sorted({*(size for size in powers if LEAST_CONTEXT <= size < most), most})


def _row(engine: Engine, model: Model, ask: Ask, context: int, columns: tuple[int, ...]) -> Stop:
    """One context: requests are added until they do not fit."""
    asked = replace(ask, max_len=context, max_seqs=None if ask.requests else ask.max_seqs)
    one = _tried(engine, model, replace(asked, requests=1))
    if isinstance(one, str) or not one.fits:
        why = one if isinstance(one, str) else one.why_not[0]
        return Stop(context, (), 0.0, why)
    fits: list[int] = []
    most, limit = one.kv.concurrency, _limit(one)
    for count in columns:
        plan = one
        if engine.name.startswith("transformers") and count > 1:
            plan = engine.plan(model, replace(asked, requests=count))
        if (plan.kv.groups and (not plan.fits or most < count)) or count > limit:
            return Stop(context, tuple(fits), most, _why(one, count, limit))
        fits.append(count)
    return Stop(context, tuple(fits), most, "")


def _limit(plan: MemoryPlan) -> int:
    """Requests that the engine runs at once, whatever memory there is."""
    return 1 << 40 if plan.engine.startswith(SPREADING) else plan.ask.max_seqs or 1 << 40


def _why(plan: MemoryPlan, count: int, limit: int) -> str:
    """Why so many requests do not fit."""
    if count > limit:
        return f"--max-num-seqs {limit}"
    needed, left = plan.kv.needed, max(0, plan.tightest.left)
    if plan.engine.startswith("transformers"):
        return f"cache and activations of {count} requests"
    return f"{count} requests take {count * needed:,} B of cache, {left:,} B are left a card"
