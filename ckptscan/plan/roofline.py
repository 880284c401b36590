"""How fast a deployment can be at most: what its memory can be read at, what it can multiply.

Upper bounds: nothing is lost to kernels, links between cards, sampling or waiting. A step of
decoding reads every weight that takes part and the cache of every request; a prompt is multiplied
with every weight that takes part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.plan.caches import caches_of
from ckptscan.plan.facts import CHUNKED, FULL, SLIDING
from ckptscan.plan.kvcache import reach_of
from ckptscan.plan.model import Model
from ckptscan.plan.values import MemoryPlan, Rank, Row, Section, Speed

_MOST = 1 << 16  # no batch beyond this is looked at
_READ = ("weights", "kernel")
# adapters are of some requests alone; the copy is read instead of kv_b_proj, not beside it
_NOT_READ = ("LoRA adapters", "MLA decoding copy")


class _Cache(NamedTuple):
    """How a cache is read that no engine is asked for."""

    reads_scheme: bool = True
    keeps_latents: bool = True
    reads_state_dtype: bool = True
    state_width: int | None = None
    has_sparse_format: bool = True


@dataclass(frozen=True)
class Step:
    """One step of decoding on the slowest rank of each stage.

    `dense` and `experts` are bytes of weights that stages hold, one after the other; `routed`
    experts of a layer, of which a token takes `per_token`. `active` are the parameters that a
    token passes through; `ranks` share a stage.
    """

    dense: int
    experts: int
    routed: int
    per_token: int
    active: int
    ranks: int

    def distinct(self, batch: int) -> float:
        """The share of experts that a batch takes at least once, if tokens choose evenly."""
        if not self.routed or not self.per_token:
            return 1.0
        return 1.0 - (1.0 - min(1.0, self.per_token / self.routed)) ** batch

    def read(self, batch: int) -> int:
        """Bytes of weights that are read for a step."""
        return self.dense + int(self.experts * self.distinct(batch))

    def flops(self, batch: int) -> int:
        """Multiplications and additions of a step on one rank."""
        return 2 * self.active * batch // self.ranks


def roofline(model: Model, made: MemoryPlan, speed: Speed) -> Section:
    """Upper bounds of decoding and prefill; figures are None where no rate is known."""
    devices = made.ask.devices
    card = devices.card if devices is not None else None
    rates = Speed(
        speed.bandwidth or (card.bandwidth if card is not None else None),
        speed.flops or (card.flops if card is not None else None),
    )
    step = _step(model, made)
    rows = (*_decoding(model, made, step, rates), *_turning(step, rates),
            *_prefill(model, made, step, rates))  # fmt: skip
    return Section("roofline", "upper bounds of speed", rows, tuple(_notes(model, made, rates)))


def _step(model: Model, made: MemoryPlan) -> Step:
    """What a step reads and multiplies."""
    slowest: dict[int, Rank] = {}
    for rank in made.ranks:
        known = slowest.get(rank.stage)
        if known is None or rank.loaded > known.loaded:
            slowest[rank.stage] = rank
    dense = experts = 0
    routes = model.structure.parameters.experts is not None
    for rank in slowest.values():
        for term in rank.terms:
            is_looked_up = term.name == "embeddings" and not _is_head(model)
            if term.part not in _READ or is_looked_up or term.name in _NOT_READ:
                continue
            is_expert = term.name == "experts" or (routes and term.name == "kernel padding")
            experts += term.nbytes * is_expert
            dense += term.nbytes * (not is_expert)
    counts = model.structure.parameters
    active = counts.active.without_input_embedding if counts.active is not None else 0
    active = active or (counts.logical or 0) - counts.embedding
    found = counts.experts
    routed, taken = (found.routed, found.per_token or 0) if found is not None else (0, 0)
    ranks = max(1, made.cards // max(1, made.ask.parallel.pp))
    return Step(dense, experts, routed, taken, max(0, active), ranks)


def _is_head(model: Model) -> bool:
    """Whether the embedding's table is multiplied with too."""
    return model.facts.is_tied


def cache_read(model: Model, made: MemoryPlan, length: int) -> int:
    """Bytes of a request's cache that a step reads on one rank, all stages together."""
    caches = caches_of(_Cache(), model, made.ask, made.ask.parallel.tp)
    sparse = model.facts.config.number("index_topk")
    total = 0
    for _, cache in caches.layers:
        tokens = cache.tokens(length, 1)
        if sparse is not None and cache.kind == FULL:
            tokens = min(tokens, sparse)
        total += cache.token_bytes * tokens + cache.state_bytes
    return total


def _decoding(model: Model, made: MemoryPlan, step: Step, rates: Speed) -> Iterator[Row]:
    """Tokens a second for one request and for as many as the cache holds."""
    length = made.kv.max_len
    each = cache_read(model, made, length)
    yield Row("weights a step reads", step.read(1), "B", _read_in_words(step, 1))
    yield Row("cache a step reads", each, "B", f"of one request of {length:,} tokens, on a rank")
    batches = {1: 0, 1 << 3: 0, made.ask.requests or 1: 0, max(1, int(made.kv.concurrency)): 0}
    for batch in sorted(size for size in batches if size <= max(1, int(made.kv.concurrency))):
        yield Row(f"decode, {batch:,} x {length:,} tokens", *_rate(made, step, rates, batch, each))


def _rate(
    made: MemoryPlan, step: Step, rates: Speed, batch: int, each: int
) -> tuple[float | None, str, str]:
    """Tokens a second at a batch, unit, formula."""
    on_rank = -(-batch // max(1, made.ask.parallel.dp))
    read = step.read(batch) + on_rank * each
    how = f"{batch:,} / ({read:,} B / bandwidth), {_read_in_words(step, batch)}"
    if rates.bandwidth is None:
        return None, "tokens/s", how
    seconds = read / rates.bandwidth
    if rates.flops is not None and step.flops(batch) / rates.flops > seconds:
        seconds = step.flops(batch) / rates.flops
        how = f"{batch:,} / ({step.flops(batch):,} FLOP / FLOP/s): arithmetic is in the way"
    return batch / seconds if seconds else None, "tokens/s", how


def _read_in_words(step: Step, batch: int) -> str:
    if not step.experts:
        return f"{step.dense:,} B of weights"
    expected = step.routed * step.distinct(batch)
    return (
        f"{step.dense:,} B + {step.experts:,} B of experts, {expected:.1f} of {step.routed} "
        f"taken: E x (1 - (1 - k / E)^{batch})"
    )


def _turning(step: Step, rates: Speed) -> Iterator[Row]:
    """The batch from which on arithmetic is in the way, not memory; the cache left out."""
    how = "least batch with 2 x active parameters x batch / FLOP/s >= weights read / bandwidth"
    if rates.bandwidth is None or rates.flops is None or not step.active:
        yield Row("batch where it turns", None, "requests", how)
        return
    low, high = 1, _MOST
    while low < high:
        middle = (low + high) // 2
        if step.flops(middle) / rates.flops >= step.read(middle) / rates.bandwidth:
            high = middle
        else:
            low = middle + 1
    yield Row("batch where it turns", low, "requests", how)


def _prefill(model: Model, made: MemoryPlan, step: Step, rates: Speed) -> Iterator[Row]:
    """Tokens a second of one prompt as long as the context."""
    length = made.kv.max_len
    head = model.structure.parameters.lm_head
    head = head or (model.structure.parameters.embedding if _is_head(model) else 0)
    linear = 2 * max(0, step.active - head) * length + 2 * head
    attending = sum(_attention(model, place, length) for place in range(len(model.indices)))
    total = linear + attending
    how = (
        f"2 x {step.active - head:,} active parameters x {length:,} tokens + {attending:,} of "
        f"attention (heads x (keys + values) x pairs)"
    )
    yield Row("prompt", total, "FLOP", how)
    seconds = total / (rates.flops * step.ranks) if rates.flops else None
    rated = "dense BF16" if step.ranks == 1 else f"dense BF16 of {step.ranks} cards"
    yield Row("prefill", length / seconds if seconds else None, "tokens/s",
              f"{length:,} / ({total:,} FLOP / FLOP/s, {rated})")  # fmt: skip


def _attention(model: Model, place: int, length: int) -> int:
    """Operations of the scores and their sums in one layer, each pair once."""
    one = model.attention_of(model.indices[place])
    if one is None or one.kind in ("linear", "ssm", "none") or not one.heads:
        return 0
    kind, reach = reach_of(model.facts, place, len(model.indices))
    near = min(reach, length) if kind in (SLIDING, CHUNKED) else length
    pairs = length * near - near * near // 2
    if kind == CHUNKED:
        pairs = length * near // 2
    keys, values = one.head_dim or 0, one.v_head_dim or one.head_dim or 0
    if one.latent is not None:
        keys, values = one.latent.nope + one.latent.rope, one.latent.v
    return 2 * one.heads * (keys + values) * pairs


def _notes(model: Model, made: MemoryPlan, rates: Speed) -> Iterator[str]:
    devices = made.ask.devices
    name = devices.card.name if devices is not None else "the card"
    if rates.bandwidth is None:
        yield f"no bandwidth of {name} is sourced; give --bandwidth"
    if rates.flops is None:
        yield f"no FLOP/s of {name} are sourced; give --tflops"
    found = model.structure.parameters.experts
    if found is not None and found.per_token is None:
        yield "config does not say how many experts a token takes: all are taken"
    if made.ask.parallel.pp > 1:
        yield "a batch goes through the stages one after the other; others may be in flight"
    if made.cards > 1:
        yield "nothing is counted for what cards send to each other"
