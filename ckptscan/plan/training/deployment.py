"""A training run on cards: the terms of every rank, whether they fit, what would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.names import IndexSet
from ckptscan.plan.activations import measured, overhead
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import Cut
from ckptscan.plan.stages import remainder_to_last_ones, stage_layers
from ckptscan.plan.training.activations import activation_terms, ends, sizes_of
from ckptscan.plan.training.parameters import Held, held
from ckptscan.plan.training.states import BUFFER, by_paper, host, refuse, states, widths
from ckptscan.plan.validity import candidates, refused
from ckptscan.plan.values import (
    GIB,
    KV,
    TRAINING,
    Ask,
    MemoryPlan,
    Rank,
    Refusal,
    Row,
    Section,
    Term,
    Training,
    WhatIf,
)
from ckptscan.plan.whatif import parse_recipe, requantized

DEFAULT_GPU, DEFAULT_SEQUENCE, DEFAULT_RANK = "h100", 4096, 16
QLORA = "nf4-dq"
ADAPTERS = ("lora", "qlora")


def train(model: Model, ask: Ask, training: Training) -> MemoryPlan:
    """The memory of a training run; raises UsageError for what no formula covers."""
    settled = replace(ask, devices=ask.devices or parse_devices(DEFAULT_GPU))
    training = training._replace(
        seq_len=training.seq_len or DEFAULT_SEQUENCE,
        is_float32=ask.dtype == "float32" and training.kind == "full",
    )
    _refuse(model, settled, training)
    if training.kind == "qlora":
        model = requantized(model, parse_recipe(QLORA))
    ranks = tuple(_ranks(model, settled, training))
    return _made(model, settled, training, ranks)


def _refuse(model: Model, ask: Ask, training: Training) -> None:
    refuse(training)
    parallel, devices = ask.parallel, ask.devices
    if parallel.ep > 1 and (not model.experts or parallel.dp % parallel.ep):
        why = f"it divides --dp {parallel.dp}" if model.experts else "the model has no experts"
        raise UsageError(f"--ep {parallel.ep} does not work in training", f"{why}; or say --ep 1")
    cards = parallel.tp * parallel.pp * parallel.dp
    if devices is not None and devices.count is not None and cards > devices.count:
        raise UsageError(f"tp x pp x dp takes {cards} cards, {devices.count} are there",
                         "say more cards, or split less")  # fmt: skip
    why = _why(model, parallel.tp)
    if why:
        valid = ", ".join(str(size) for size in _sizes(model, 1)[0])
        raise UsageError(f"tp {parallel.tp} does not work: {why}", f"these do: {valid}")


def _why(model: Model, tp: int) -> str:
    attention = model.structure.attention
    return refused(model.inventory, attention, Cut(tp, tp), model.facts.hidden, has_marlin=False)


def _sizes(model: Model, tp: int) -> tuple[tuple[int, ...], tuple[Refusal, ...]]:
    sizes = candidates(model.structure.attention, tp)
    reasons = {size: _why(model, size) for size in sizes}
    valid = tuple(size for size, why in reasons.items() if not why)
    return valid, tuple(Refusal(size, why) for size, why in reasons.items() if why)


def _ranks(model: Model, ask: Ask, training: Training) -> Iterator[Rank]:
    """One rank for each stage; the others of a stage hold the same."""
    parallel, devices = ask.parallel, ask.devices or parse_devices(DEFAULT_GPU)
    stages = stage_layers(model, parallel, remainder_to_last_ones)
    alike, adapted = parallel.tp * parallel.dp, _adapted(ask)
    for stage, layers in enumerate(stages):
        is_first, is_last = stage == 0, stage == len(stages) - 1
        cut = Cut(parallel.tp, parallel.tp, parallel.ep)
        holds = held(model, layers, (is_first, is_last), cut, adapted)
        terms = (
            *_states(holds, ask, training, adapted.lora_rank),
            *activation_terms(sizes_of(model, layers), training, parallel.tp, len(stages) - stage),
            *ends(model, training, parallel.tp, (is_first, is_last, len(stages))),
            _overhead(ask),
        )
        given = tuple(_given(terms, ask))
        members = IndexSet.of(range(stage * alike, (stage + 1) * alike))
        how = "all that torch sees"
        yield Rank(stage * alike, stage, members, IndexSet.of(layers), given,
                   devices.card.total_bytes, how)  # fmt: skip


def _given(terms: tuple[Term, ...], ask: Ask) -> Iterator[Term]:
    """The terms, activations replaced by a measured figure where there is one."""
    kept = [term for term in terms if term.nbytes]
    if ask.activation_bytes is not None:
        kept = [term for term in kept if term.part != "activations"]
        kept.append(Term("activations", ask.activation_bytes, "as given", "assumed", "activations"))
    yield from kept


def _overhead(ask: Ask) -> Term:
    is_many = ask.parallel.tp * ask.parallel.pp * ask.parallel.dp > 1
    how = "CUDA context, NCCL and others" if is_many else "CUDA context and others"
    term = overhead("outside of torch", 0.55 if is_many else 0.13, 0.1, 3.6, how)
    return measured(term, ask.non_torch_bytes)


def _states(holds: Held, ask: Ask, training: Training, rank: int) -> Iterator[Term]:
    """Weights, gradients and optimizer of what is trained; what is frozen beside it."""
    copies, ep = ask.parallel.dp, ask.parallel.ep
    if training.kind not in ADAPTERS:
        routed = holds.experts if ep > 1 else 0
        yield from states(holds.parameters - routed, holds.largest, copies, training)
        for term in states(routed, 0, copies // ep, training) if routed else ():
            yield term._replace(name=f"experts: {term.name}")
        return
    yield from _frozen(holds, copies, training)
    how = f"rank {rank} beside {holds.targets:,} modules: "
    for term in states(holds.adapters, 0, copies, training):
        if term.nbytes:
            yield term._replace(name=f"adapters: {term.name}", formula=how + term.formula)


def _frozen(holds: Held, copies: int, training: Training) -> Iterator[Term]:
    """The base model, which takes no gradients; ZeRO-3 shares it."""
    shared = copies if training.zero == 3 else 1
    by = f" / {shared}" if shared > 1 else ""
    if training.kind == "qlora":
        how = f"{holds.parameters:,} parameters, linear layers in {QLORA}, the rest in 2 B{by}"
        yield Term("frozen weights", holds.stored // shared, how, "assumed")
        how = f"{holds.widest:,} x 2 B: the largest linear layer, unpacked to multiply"
        yield Term("unpacked layer", 2 * holds.widest, how, "estimated", "activations")
        return
    if training.offload != "all":
        how = f"{holds.parameters:,} x 2 B{by}"
        yield Term("frozen weights", 2 * holds.parameters // shared, how, "estimated")
    if training.zero == 3:
        yield Term("largest module, gathered", 2 * holds.largest, f"{holds.largest:,} x 2 B",
                   "estimated")  # fmt: skip


def _made(model: Model, ask: Ask, training: Training, ranks: tuple[Rank, ...]) -> MemoryPlan:
    tight = min(ranks, key=lambda rank: rank.left)
    valid, against = _sizes(model, ask.parallel.tp)
    why = () if tight.fits else (
        f"rank {tight.rank} takes {tight.fixed:,} B, {-tight.left:,} B more than the card has",
    )  # fmt: skip
    kv = KV(0, 0, 0, "none", "exact", "training keeps no cache", 0, 0, 0, 0.0,
            training.seq_len, 0, 0)  # fmt: skip
    parallel = ask.parallel
    return MemoryPlan(
        TRAINING,
        replace(ask, max_len=training.seq_len, train=training),
        parallel.tp * parallel.pp * parallel.dp,
        ranks,
        kv,
        {
            "model_states_gib": round(ranks[0].part("weights") / GIB, 4),
            "activations_gib": round(ranks[0].part("activations") / GIB, 4),
            "total_gib": round(ranks[0].fixed / GIB, 4),
        },
        valid,
        against,
        not why,
        why,
        tuple(_advice(model, ask, training)) if why else (),
        tuple(_assumptions(model, ask, training)),
        sections=(_section(model, ask, training),),
    )


def _advice(model: Model, ask: Ask, training: Training) -> Iterator[str]:
    """What makes it fit, each tried on its own."""
    for words, changed_ask, changed in _others(ask, training):
        ranks = _ranks(model, changed_ask, changed)
        if min(rank.left for rank in ranks) > 0:
            yield words
            if words.startswith("--dp"):
                return


def _others(ask: Ask, training: Training) -> Iterator[tuple[str, Ask, Training]]:
    if training.checkpointing != "full":
        yield "--checkpointing full", ask, training._replace(checkpointing="full")
    if training.micro_batch > 1:
        yield "--micro-batch 1", ask, training._replace(micro_batch=1)
    if training.zero < 3 and ask.parallel.dp > 1:
        yield "--zero 3", ask, training._replace(zero=3)
    zero3 = training._replace(zero=3, checkpointing="full")
    if training.offload != "all":
        words = "--zero 3 --offload all --checkpointing full"
        yield words, ask, zero3._replace(offload="all")
    if training.kind == "full":
        adapted = training._replace(kind="lora", checkpointing="full", is_float32=False)
        yield "--train lora --checkpointing full", ask, adapted
    for copies in (2, 4, 8, 16, 32, 64):
        if copies > ask.parallel.dp:
            more = replace(ask, parallel=ask.parallel._replace(dp=copies))
            yield f"--dp {copies} --zero 3 --checkpointing full", more, zero3


def _section(model: Model, ask: Ask, training: Training) -> Section:
    """What is no part of a card's memory: parameters, the host."""
    wide, parallel = widths(training), ask.parallel
    whole = held(model, model.indices, (True, True), Cut(), _adapted(ask))
    is_adapted = training.kind in ADAPTERS
    trained = whole.adapters if is_adapted else whole.parameters
    offloaded, how = host(trained, parallel.tp * parallel.pp * parallel.dp, training)
    if training.kind == "lora" and training.offload == "all":
        offloaded += int(2 * whole.parameters / training.nodes * BUFFER)
        how += f"; and {whole.parameters:,} x 2 B / {training.nodes} nodes x {BUFFER}"
    each = wide.weights + wide.gradients + wide.optimizer
    said = f"{wide.weights} weights + {wide.gradients} gradients + {wide.optimizer:g} optimizer"
    rows: tuple[Row, ...] = (
        Row("parameters", whole.parameters, "", "of the whole model", "exact"),
        Row("trained", trained, "", f"--train {training.kind}", "exact"),
        Row("states of a trained parameter", float(each), "B", said, "estimated"),
        Row("host memory of a node", offloaded, "B", how, "estimated"),
    )
    if not is_adapted and training.offload == "none":
        own = held(model, model.indices, (True, True), Cut(parallel.tp, parallel.tp), _adapted(ask))
        counted, by = by_paper(own.parameters // parallel.pp, parallel.dp, training)
        rows += (Row("states by the ZeRO paper", counted, "B", by, "estimated"),)
    return Section(TRAINING, f"training, ZeRO-{training.zero}", rows)


def _adapted(ask: Ask) -> WhatIf:
    """What is asked of adapters, with the rank that is usual where none is said."""
    return ask.what_if._replace(lora_rank=ask.what_if.lora_rank or DEFAULT_RANK)


def _assumptions(model: Model, ask: Ask, training: Training) -> Iterator[str]:
    """What the plan rests on."""
    if training.zero and ask.parallel.dp == 1:
        yield "ZeRO shares among --dp copies: with one it shares nothing"
    if training.checkpointing == "none":
        yield "scores of attention are counted; where it is fused say --checkpointing selective"
    found = model.structure.parameters.experts
    if found is not None and found.per_token is None:
        yield "config does not say how many experts a token takes: activations are of one"
    if training.kind == "qlora":
        yield "frozen weights that are not packed are taken in 16 bits; peft may hold them in 32"
    yield "activations are those of the paper's GPT: dropout masks included, fragments left out"
