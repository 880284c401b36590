"""What comes of a model spread by llama.cpp: whether it fits, how long, what to change, the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ckptscan.plan.engines.llamacpp_cache import PAD, Cells
from ckptscan.plan.facts import FULL
from ckptscan.plan.gguf import File
from ckptscan.plan.kernels import unread
from ckptscan.plan.kvcache import STATE, LayerCache
from ckptscan.plan.model import Model
from ckptscan.plan.outcome import formula
from ckptscan.plan.spread import HOST, Spread
from ckptscan.plan.values import GIB, KV, Ask, Beside, MemoryPlan, Rank, Term

MIB = 1 << 20
Places = tuple[tuple[Rank, ...], tuple[Beside, ...], Spread]
_FEWER_BITS = "q8_0"
HEAD = "embeddings for the head"  # a tied table's second place


class Placed(NamedTuple):
    """A file, its caches, what was asked, and the function that puts both on cards."""

    file: File
    cells: Cells
    ask: Ask
    place: Callable[[Model, Ask, File, Cells], Places]

    def on(self, model: Model) -> Places:
        """Cards and host with what they hold."""
        return self.place(model, self.ask, self.file, self.cells)


def planned(name: str, model: Model, what: Placed) -> MemoryPlan:
    """The plan of a deployment, whether it fits or not."""
    ask = what.ask
    ranks, beside, where = what.on(model)
    kv = _kv(model, ask, what, ranks, where)
    against = tuple(_why_not(model, ask, ranks, beside))
    return MemoryPlan(
        name,
        ask,
        len(ranks),
        ranks,
        kv,
        _predictions(what, ranks, ask),
        (),
        (),
        not against,
        against,
        (),
        tuple(_assumptions(model, ask, what)),
        tuple(_log(model, what, ranks, beside, where)) if kv.groups else (),
        tuple(_changes(model, what.file, ranks)),
        {},
        beside,
    )


def _kv(model: Model, ask: Ask, what: Placed, ranks: tuple[Rank, ...], where: Spread) -> KV:
    """The cache: how many tokens of one request, how many requests of the length."""
    cells, length = what.cells, ask.max_len or 1
    held = [(rank.left, where.layers_of(rank.rank)) for rank in ranks]
    held = [(left, places) for left, places in held if places]
    most = max(length, model.facts.context.value)
    caches = cells.caches
    needed = sum(cells.nbytes(places, length, 1) for _, places in held)
    room = min(
        (max(0, left) / max(1, cells.nbytes(places, length, 1)) for left, places in held),
        default=0.0,
    )
    total = _longest(cells, held, 1, 1 << 40) if needed else 0
    each = _longest(cells, held, ask.requests, most) if ask.requests else None
    groups = tuple(_groups(cells, ask))
    return KV(
        caches.token_bytes,
        caches.state_bytes,
        caches.token_bytes,
        caches.dtype.name,
        caches.label,
        formula(model, ask, caches.token_bytes, caches.dtype.how),
        PAD,
        total // PAD,
        total,
        room if groups else 0.0,
        length,
        min(total, most) if groups else most,
        needed,
        each,
        groups,
        {
            "cache": f"the most cells, in steps of {PAD}, that every card has room for beside "
            "the rest",
            "requests": "what is left on the tightest card / the cells of a request there",
            "longest": "the cells of one request, up to the model's context",
        },
    )


def _longest(cells: Cells, held: list[tuple[int, list[int]]], requests: int, most: int) -> int:
    """The longest context of so many requests, in whole cells; states alone allow any."""
    low, high = 0, -(-most // PAD)
    while low < high:
        middle = (low + high + 1) // 2
        if all(cells.nbytes(places, middle * PAD, requests) <= left for left, places in held):
            low = middle
        else:
            high = middle - 1
    return min(low * PAD, most)


def _groups(cells: Cells, ask: Ask) -> Iterator[str]:
    """The layers that keep alike, each with its cells."""
    kinds: dict[LayerCache, int] = {}
    for caches in cells.by_place:
        for cache in caches:
            kinds[cache] = kinds.get(cache, 0) + 1
    for one, layers in kinds.items():
        if one.kind == STATE:
            yield f"{layers} layers of states, {one.state_bytes:,} B each"
        else:
            count = cells.held(one, ask.max_len or 0, ask.max_seqs or 1)
            reach = f", window {one.reach:,}" if one.kind != FULL and one.reach else ""
            yield f"{layers} layers {one.kind}{reach}: {count:,} cells x {one.token_bytes:,} B"


def _why_not(
    model: Model, ask: Ask, ranks: tuple[Rank, ...], beside: tuple[Beside, ...]
) -> Iterator[str]:
    """What is in the way."""
    checkpoint = model.structure.checkpoint
    if checkpoint.incomplete:
        missing = f"missing files: {len(checkpoint.missing):,}" if checkpoint.missing else "gaps"
        yield f"the checkpoint is incomplete ({missing}), and what is not there is not counted"
    yield from unread(model, "llama.cpp", frozenset())
    length, context = ask.max_len or 0, model.facts.context
    if length > context.value and context.label == "config":
        yield f"the context {length:,} is beyond the model's {context.value:,} ({context.how})"
    for rank in ranks:
        over = rank.nbytes - rank.capacity
        if over > 0:
            yield f"card {rank.rank} would hold {rank.nbytes:,} B, {over:,} B more than it has"
    host = sum(one.nbytes for one in beside)
    if ask.local.host_bytes is not None and host > ask.local.host_bytes:
        over = host - ask.local.host_bytes
        yield f"the host would hold {host:,} B, {over:,} B more than --host-memory"


def _assumptions(model: Model, ask: Ask, what: Placed) -> Iterator[str]:
    """What the plan rests on and nothing in the checkpoint says."""
    facts = model.facts
    if not facts.has_config:
        yield "no config.json: context, windows and heads are not known; give --max-len"
    elif facts.context.label == "assumed":
        yield f"{facts.context.how}: {facts.context.value:,} tokens taken; give --max-len"
    if ask.devices is not None and ask.devices.card.label != "engine":
        yield f"{ask.devices.card.name}: {ask.devices.card.how}"
    yield f"the checkpoint as a GGUF file of {what.file.mix}, made without an importance matrix"
    if any(module.role == "linear_attention" for module, _ in model.inventory.everything()):
        yield "layers of linear attention: newer converters may split their projections"
    if what.cells.caches.label == "assumed":
        yield "heads are not known: keys and values are taken to divide evenly"


def _predictions(what: Placed, ranks: tuple[Rank, ...], ask: Ask) -> dict[str, int | float | None]:
    places = range(len(what.cells.by_place))
    length, requests = ask.max_len or 0, ask.max_seqs or 1
    total = what.cells.nbytes(places, length, requests)
    windows = _windows(what.cells, length, requests) if what.cells.has_windows else 0
    states = requests * what.cells.caches.state_bytes
    total -= states
    left = min(rank.left for rank in ranks)
    return {
        "model_loading_gib": round(ranks[0].loaded / GIB, 4),
        "kv_cache_gib": round(left / GIB, 2),
        "file_size_gib": round(what.file.nbytes / GIB, 4),
        "model_buffer_mib": round(ranks[0].loaded / MIB, 4),
        "kv_self_mib": round(total / MIB, 4),
        "kv_global_mib": round((total - windows) / MIB, 4),
        "kv_swa_mib": round(windows / MIB, 4),
        "rs_mib": round(states / MIB, 4),
    }


def _windows(cells: Cells, length: int, requests: int) -> int:
    return sum(
        cells.held(cache, length, requests) * cache.token_bytes
        for caches in cells.by_place
        for cache in caches
        if cache.kind not in (FULL, STATE)
    )


def _changes(model: Model, file: File, ranks: tuple[Rank, ...]) -> Iterator[Term]:
    """Bytes of the checkpoint that the file holds otherwise or not at all."""
    how = "against the bytes stored"
    stored = model.structure.nbytes
    for reason, nbytes in file.left_out:
        yield Term(reason, nbytes, how, "engine")
        stored += nbytes
    drafting = model.structure.mtp
    if drafting is not None:
        said = "loaded for speculative decoding alone"
        yield Term("multi-token prediction", -drafting.nbytes, said, "engine")
        stored -= drafting.nbytes
    yield Term(f"written as GGUF {file.mix}", file.nbytes - stored, how, "engine")
    for rank in ranks:
        for term in rank.terms:
            if term.name == HEAD:
                yield term


def _cells_line(model: Model, cells: Cells, ask: Ask, is_window: bool) -> Iterator[str]:
    """What it says of the cache of layers that look everywhere, or of those with a window."""
    length, requests = ask.max_len or 0, ask.max_seqs or 1
    streams = 1 if cells.unified else requests
    held = [
        cache
        for caches in cells.by_place
        for cache in caches
        if cache.kind != STATE and (cache.kind != FULL) == is_window
    ]
    if not held:
        return
    count = cells.held(held[0], length, requests)
    total = sum(cells.held(cache, length, requests) * cache.token_bytes for cache in held)
    one = next((one for one in model.attention if one.head_dim), None)
    wide, values = (one.head_dim or 1, one.v_head_dim or one.head_dim or 1) if one else (1, 1)
    has_latent = any(one.latent is not None for one in model.attention)
    keys = total if has_latent else total * wide // (wide + values)
    kind = ask.kv_dtype
    yield (
        f"llama_kv_cache: size = {total / MIB:7.2f} MiB ({count // streams:6d} cells, "
        f"{len(held):3d} layers, {requests:2d}/{streams} seqs), K ({kind}): {keys / MIB:7.2f} MiB, "
        f"V ({kind}): {(total - keys) / MIB:7.2f} MiB"
    )


def _log(
    model: Model,
    what: Placed,
    ranks: tuple[Rank, ...],
    beside: tuple[Beside, ...],
    where: Spread,
) -> Iterator[str]:
    """The lines that it should print."""
    file, layers, ask = what.file, len(where.cards), what.ask
    bits = 8 * file.nbytes / max(1, file.elements)
    yield f"print_info: file size   = {file.nbytes / GIB:.2f} GiB ({bits:.2f} BPW)"
    on_cards = sum(card != HOST for card in (*where.cards, where.output))
    yield f"load_tensors: offloaded {on_cards}/{layers + 1} layers to GPU"
    mapped = sum(term.nbytes for one in beside for term in one.terms if term.part == "weights")
    yield f"load_tensors:   CPU_Mapped model buffer size = {mapped / MIB:.2f} MiB"
    for rank in ranks:
        size = rank.loaded / MIB
        yield f"load_tensors:        CUDA{rank.rank} model buffer size = {size:.2f} MiB"
    for rank in ranks:
        size = rank.part("kv") / MIB
        yield f"llama_kv_cache:      CUDA{rank.rank} KV buffer size = {size:.2f} MiB"
    for is_window in (False, True) if what.cells.has_windows else (False,):
        yield from _cells_line(model, what.cells, ask, is_window)
    states = (ask.max_seqs or 1) * what.cells.caches.state_bytes
    if states:
        yield f"llama_memory_recurrent: size = {states / MIB:.2f} MiB in all"
