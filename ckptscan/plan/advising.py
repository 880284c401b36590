"""What would make a deployment fit: other ways to ask, each planned whole before it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.hardware import Card, Devices, spec_of
from ckptscan.plan.engines import engine_named
from ckptscan.plan.kernels import unrunnable
from ckptscan.plan.model import Model
from ckptscan.plan.spread import family_of, spreads
from ckptscan.plan.values import Ask, MemoryPlan, Parallel
from ckptscan.plan.verdict import beyond_context
from ckptscan.plan.whatif.fitting import default_formats

Planned = Callable[[Ask], MemoryPlan]

LEAST_CONTEXT = 1024  # tokens below which a shorter context is no way out
HIGH_SHARE, FEW_SEQUENCES, SHORT_PROMPT = 0.95, 64, 2048
ONE_HOST, MOST_STAGES = 8, 8
MOST, MOST_TRIED = 6, 32  # changes that are told, pairs that are tried


class Change(NamedTuple):
    """One way to ask otherwise: the options as they are typed, what is asked then."""

    words: str
    ask: Ask


def advised(model: Model, planned: Planned, asked: Ask, made: MemoryPlan) -> MemoryPlan:
    """A plan that does not fit with what would; others as they are."""
    if made.fits or made.is_training or _is_hopeless(model, made):
        return made
    if asked.what_if.fits:  # each trial is a search: more cards alone are tried
        return replace(made, advice=tuple(_told(_more_cards(asked, made), planned)))
    found = [*_told(_alone(model, asked, made), planned)]
    if family_of(made.engine) == "llama.cpp":
        found += _on_host(model, asked, planned)
    elif not any(words.startswith("--tp") for words in found):
        found += _told(_stages(asked, made), planned)
    if not found:
        found = [*_told(islice(_together(model, asked, made, planned), MOST_TRIED), planned)]
    if not found and asked.devices is not None and not any(beyond_context(model, made.ask)):
        found = ["another card: --fit without --gpu lists what holds it"]
    return replace(made, advice=tuple(found[:MOST]))


def _is_hopeless(model: Model, made: MemoryPlan) -> bool:
    """Whether something else than memory is in the way."""
    unknown: frozenset[str] = getattr(engine_named(made.engine), "unknown_schemes", frozenset())
    against = unrunnable(model, _card(made), made.engine, unknown)
    is_unknown = model.structure.checkpoint.incomplete or bool(model.facts.unmodelled_cache)
    return is_unknown or any(against)


def _told(changes: Iterable[Change], planned: Planned) -> Iterator[str]:
    """The words of the changes that fit, of each kind the first."""
    seen: set[str] = set()
    for change in changes:
        kind = " ".join(word for word in change.words.split() if word.startswith("--"))
        if kind not in seen and _fits(change.ask, planned):
            seen.add(kind)
            yield change.words


def _fits(ask: Ask, planned: Planned) -> bool:
    made = _tried(ask, planned)
    return made is not None and made.fits


def _tried(ask: Ask, planned: Planned) -> MemoryPlan | None:
    """The plan of a change; None where the engine would refuse it."""
    try:
        return planned(ask)
    except UsageError:
        return None


def _alone(model: Model, asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """Single changes, the cheapest first."""
    yield from _shorter(model, asked, made)
    yield from _of_engine(model, asked, made)
    yield from _quantized(model, asked, made)
    yield from _more_cards(asked, made)


def _shorter(model: Model, asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """A context or a number of requests that there is room for."""
    kv, wanted = made.kv, made.kv.max_len
    longest = kv.longest if kv.longest_each is None else min(kv.longest, kv.longest_each)
    context = model.facts.context
    if context.label == "config":
        longest = min(longest, context.value)
    if min(LEAST_CONTEXT, context.value) <= longest < wanted:
        yield Change(f"--max-len {longest}", replace(asked, max_len=longest))
    fewer = int(kv.concurrency)
    if asked.requests and 0 < fewer < asked.requests:
        yield Change(f"--requests {fewer}", replace(asked, requests=fewer))


def _of_engine(model: Model, asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """What the engine may be told: its share of the card, its batch, its cache."""
    settled = made.ask
    if spreads(made.engine):
        yield from _of_spreading(model, asked, made)
        return
    if (settled.utilization or 1) < HIGH_SHARE:
        yield Change(f"--gpu-memory-utilization {HIGH_SHARE}",
                     replace(asked, utilization=HIGH_SHARE))  # fmt: skip
    if (settled.max_seqs or 0) > FEW_SEQUENCES:
        yield Change(f"--max-num-seqs {FEW_SEQUENCES}", replace(asked, max_seqs=FEW_SEQUENCES))
    if settled.kv_dtype == "auto":
        yield Change("--kv-cache-dtype fp8", replace(asked, kv_dtype="fp8"))


def _of_spreading(model: Model, asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """What llama.cpp and transformers may be told: shorter prompts, a smaller cache, the host."""
    if family_of(made.engine) == "transformers":
        if (made.ask.max_batched or 0) > SHORT_PROMPT:
            yield Change(f"--max-num-batched-tokens {SHORT_PROMPT}",
                         replace(asked, max_batched=SHORT_PROMPT))  # fmt: skip
        return
    if made.ask.kv_dtype in ("f16", "bf16", "f32"):
        yield Change("--kv-cache-dtype q8_0", replace(asked, kv_dtype="q8_0"))
    if asked.local.outtype is None:
        for name in ("q8_0", "q4_k_m"):
            local = asked.local._replace(outtype=name)
            yield Change(f"--outtype {name}", replace(asked, local=local))


def _on_host(model: Model, asked: Ask, planned: Planned) -> Iterator[str]:
    """The most layers that the cards take, where the rest may lie on the host."""
    said = asked.local.gpu_layers
    low, high = 0, len(model.indices) + 1 if said is None else said
    while high - low > 1:
        middle = (low + high) // 2
        some = replace(asked, local=asked.local._replace(gpu_layers=middle))
        low, high = (middle, high) if _fits(some, planned) else (low, middle)
    if low:
        yield f"--n-gpu-layers {low}, the rest on the host"


def _quantized(model: Model, asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """Weights in fewer bits, where they are not packed yet."""
    is_packed = any(module.is_packed for module, _ in model.inventory.everything())
    if is_packed or asked.what_if.quantize is not None or spreads(made.engine):
        return
    for name in default_formats(_card(made)):
        supposed = asked.what_if._replace(quantize=name)
        words = f"--quantize {name}, or the mix that --fit-quantize finds"
        yield Change(words, replace(asked, what_if=supposed))


def _card(made: MemoryPlan) -> Card | None:
    return made.ask.devices.card if made.ask.devices is not None else None


def _more_cards(asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """More ranks; or more cards, where an engine spreads over all that are there."""
    parallel = asked.parallel
    if spreads(made.engine):
        yield from _spread_wider(asked, made)
        return
    for tp in made.valid_tp:
        if tp > parallel.tp:
            yield _ranks(asked, parallel._replace(tp=tp))


def _stages(asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    """More stages of hosts that are full."""
    parallel = asked.parallel
    within = [tp for tp in made.valid_tp if parallel.tp <= tp <= ONE_HOST] or [parallel.tp]
    for pp in range(parallel.pp + 1, MOST_STAGES + 1) if made.valid_tp else ():
        yield _ranks(asked, parallel._replace(tp=max(within), pp=pp))


def _ranks(asked: Ask, parallel: Parallel) -> Change:
    """Another split; experts that are whole stay so."""
    if parallel.ep > 1:
        parallel = parallel._replace(ep=parallel.tp * parallel.dp)
    before = asked.parallel._asdict()
    words = [f"--{name} {size}" for name, size in parallel._asdict().items()
             if size != before[name]]  # fmt: skip
    return Change(" ".join(words), replace(asked, parallel=parallel))


def _spread_wider(asked: Ask, made: MemoryPlan) -> Iterator[Change]:
    card = _card(made)
    if card is None:
        return
    for count in (2, 4, 8, 16):
        if count > made.cards:
            more = replace(asked, devices=Devices(card, count), parallel=Parallel())
            yield Change(f"--gpu {count}x{spec_of(card)}", more)


def _together(model: Model, asked: Ask, made: MemoryPlan, planned: Planned) -> Iterator[Change]:
    """Two changes at once, where no single one is enough: more cards or less context too."""
    for one in (*_of_engine(model, asked, made), *_quantized(model, asked, made)):
        changed = _tried(one.ask, planned)
        for less in _shorter(model, one.ask, changed) if changed is not None else ():
            yield Change(f"{one.words.partition(',')[0]} {less.words}", less.ask)
    for wider in (*_more_cards(asked, made), *_stages(asked, made)):
        for one in (*_of_engine(model, wider.ask, made), *_quantized(model, wider.ask, made)):
            yield Change(f"{wider.words} {one.words}", one.ask)
