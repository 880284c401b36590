"""vLLM's cache: how many blocks fit beside the rest, and how many tokens and requests they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.late import Late
from ckptscan.plan.inventory import Module
from ckptscan.plan.kvcache import (
    CROSS,
    STATE,
    CacheDType,
    LayerCache,
    cache_dtype,
    reach_of,
    state_of,
    token_bytes,
)
from ckptscan.plan.model import Model
from ckptscan.plan.pages import Paging, Rules, paging_of
from ckptscan.plan.values import Ask, Rank

if TYPE_CHECKING:
    from ckptscan.plan.engines.vllm import Vllm

_CROSS = Late(r"(?i)cross|enc_?dec|encoder_attn")
_BESIDE, _TO_ENCODER = 1 << 20, 1 << 21  # places of caches that a layer has beside its first
_WORD_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


class Caches(NamedTuple):
    """The caches of all layers on one rank, and how sure they are."""

    layers: tuple[tuple[int, LayerCache], ...]
    dtype: CacheDType
    label: str
    formula: str

    @property
    def token_bytes(self) -> int:
        """Bytes of a token in all layers."""
        return sum(cache.token_bytes for _, cache in self.layers if cache.kind != CROSS)

    @property
    def state_bytes(self) -> int:
        """Bytes of constant size for a request."""
        return sum(
            cache.state_bytes + cache.token_bytes * cache.reach * (cache.kind == CROSS)
            for _, cache in self.layers
        )


class Cached(NamedTuple):
    """Blocks, tokens and requests that the cache holds; `available` is bytes of the tightest."""

    caches: Caches
    paging: Paging
    blocks: int
    tokens: int
    concurrency: float
    available: int
    needed: int
    longest: int
    longest_each: int | None
    cpu_blocks: int


def caches_of(engine: Vllm, model: Model, ask: Ask, tp: int) -> Caches:
    """The cache of every layer."""
    width = model.facts.dtype(ask.dtype).value
    dtype = _dtype(engine, model, ask, width)
    indices = model.indices
    keep = len(indices) - model.facts.shared_cache_layers
    found: list[tuple[int, LayerCache]] = []
    label, how = "exact", ""
    for place, index in enumerate(indices):
        for extra, cache, sure, formula in _layer(engine, model, index, place, dtype, width, tp):
            if cache.kind == STATE or place < keep:
                found.append((index + extra, cache))
                label = max(label, sure, key=_ORDER.index)
                how = how or formula
    return Caches(tuple(found), dtype, label, how)


_ORDER = ("exact", "config", "engine", "inferred", "assumed", "estimated")


def _dtype(engine: Vllm, model: Model, ask: Ask, width: int) -> CacheDType:
    """The cache's dtype; models with sparse attention keep a format of their own."""
    asked = ask.kv_dtype
    is_sparse = model.facts.config.number("index_topk") is not None
    if is_sparse and not engine.is_v0 and (asked == "auto" or asked.startswith("fp8")):
        asked = "fp8_ds_mla"
    return cache_dtype(asked, model.facts, width, engine.reads_scheme)


def _layer(
    engine: Vllm, model: Model, index: int, place: int, dtype: CacheDType, width: int, tp: int
) -> list[tuple[int, LayerCache, str, str]]:
    """The caches of one layer, each with its place beside the first, label and formula."""
    one = model.attention_of(index)
    modules = model.inventory.modules_of(index)
    found: list[tuple[int, LayerCache, str, str]] = []
    if one is None or _is_encoder(model):
        return found
    states = [kind for kind in (one.kind, *one.beside) if kind in ("linear", "ssm")]
    if one.kind not in ("linear", "ssm", "none"):
        index_width = model.facts.config.number("index_head_dim") or 0
        index_width *= model.facts.config.number("index_topk") is not None
        size, label, formula = token_bytes(one, dtype, tp, index_width), one.label, ""
        if not size:
            size, label = _from_rows(modules, dtype, tp)
        kind, reach = reach_of(model.facts, place, len(model.indices))
        label = label if kind == "full" and not model.facts.window else max(
            label, "config", key=_ORDER.index)  # fmt: skip
        found.append((0, LayerCache(kind, size, 0, reach), label, formula))
    if states:
        state = state_of(modules, model.facts, width, _state_width(engine, model, width), tp)
        size = state.convolution + state.recurrent
        found.append((_BESIDE, LayerCache(STATE, 0, size), state.label, state.formula))
    cross = [m for m in modules if m.role in ("k", "v") and _CROSS.search(m.path) and m.shape]
    if cross:
        rows = sum(m.shape[0] for m in cross if m.shape)
        tokens = model.facts.config.number("max_source_positions") or 1500
        cache = LayerCache(CROSS, dtype.nbytes(-(-rows // tp), 0), 0, tokens)
        found.append((_TO_ENCODER, cache, "config", f"{tokens:,} encoder tokens"))
    return found


def _is_encoder(model: Model) -> bool:
    """Whether nothing is generated: BERT and its kin keep no cache."""
    named = model.facts.config.architecture or ""
    generates = any(word in named for word in ("CausalLM", "ConditionalGeneration", "LMHead"))
    return bool(model.inventory.of_role("token_type")) and not generates


def _from_rows(modules: Sequence[Module], dtype: CacheDType, tp: int) -> tuple[int, str]:
    """Bytes of a token from the rows of keys and values, where nothing tells the heads."""
    rows = sum(m.shape[0] for m in modules if m.role in ("k", "v", "kv") and m.shape)
    qkv = next((m.shape for m in modules if m.role == "qkv" and m.shape), None)
    out = next((m.shape for m in modules if m.role == "o" and m.shape), None)
    if not rows and qkv is not None:
        rows = qkv[0] - out[1] if out is not None else qkv[0] * 2 // 3
    return dtype.nbytes(-(-rows // tp), 0), "exact" if tp == 1 else "assumed"


def _state_width(engine: Vllm, model: Model, width: int) -> int:
    """Bytes of an element of the recurrent state."""
    said = model.facts.config.said("mamba_ssm_cache_dtype", "mamba_ssm_dtype")
    if engine.reads_state_dtype and isinstance(said, str):
        return _WORD_BYTES.get(said, width)
    return width


def cache_of(engine: Vllm, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
    """The blocks that all ranks have room for, and what they hold."""
    caches = caches_of(engine, model, ask, ask.parallel.tp)
    paging = paging_of(caches.layers, _rules(engine, ask))
    available = min(rank.left for rank in ranks) if ask.kv_bytes is None else ask.kv_bytes
    blocks = min(_blocks(paging, rank, ask) for rank in ranks) if ask.blocks is None else ask.blocks
    length = ask.max_len or 1
    most = max(length, model.facts.context.value)
    pages = paging.pages(length)
    if not paging.groups:
        return Cached(caches, paging, 0, 0, 0.0, available, 0, most, None, 0)
    concurrency = blocks / max(1, pages)
    tokens = blocks // len(paging.groups) * paging.block
    if engine.is_v0:
        concurrency = blocks * paging.block / length
        tokens = blocks * paging.block
    elif engine.derives_tokens:
        tokens = int(concurrency * length)
    each = None
    if ask.requests:
        each = paging.longest(blocks // ask.requests, most)
    whole = paging.block_bytes()
    swapped = ask.swap_bytes // max(1, whole) if engine.is_v0 else 0
    longest = paging.longest(blocks, most)
    return Cached(
        caches,
        paging,
        blocks,
        tokens,
        concurrency,
        available,
        pages * whole,
        longest,
        each,
        swapped,
    )


def _rules(engine: Vllm, ask: Ask) -> Rules:
    return Rules(
        ask.block_size or 16,
        ask.max_batched or 8192,
        states=2 if ask.prefix_caching and not engine.is_v0 else 1,
        is_grouped=ask.hybrid_manager and not engine.is_v0,
        widens=engine.widens,
    )


def _blocks(paging: Paging, rank: Rank, ask: Ask) -> int:
    """Blocks that fit on one rank."""
    size = paging.block_bytes(stage_places(paging, rank))
    left = rank.left if ask.kv_bytes is None else ask.kv_bytes
    return max(0, left) // size if size else 1 << 40


def stage_places(paging: Paging, rank: Rank) -> list[int]:
    """The places of caches that lie on a rank's stage."""
    held = set(rank.layers)
    places = (index for group in paging.groups for index in group.layers)
    return [place for place in places if place % _BESIDE in held]
