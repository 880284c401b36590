"""The caches of all layers on one rank, and what an engine makes of the room for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from ckptscan.late import Late
from ckptscan.plan.inventory import Module
from ckptscan.plan.kvcache import (
    CROSS,
    STATE,
    CacheDType,
    LayerCache,
    cache_dtype,
    plain_bytes,
    reach_of,
    state_of,
    token_bytes,
)
from ckptscan.plan.model import Model
from ckptscan.plan.sharding import out_and_in
from ckptscan.plan.values import Ask

_CROSS = Late(r"(?i)cross|enc_?dec|encoder_attn")
BESIDE, _TO_ENCODER = 1 << 20, 1 << 21  # places of caches that a layer has beside its first
_NO_CHUNK = 2048  # vLLM, config/model.py: get_mamba_chunk_size
_WORD_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


class Profile(Protocol):
    """What an engine tells of its cache."""

    @property
    def reads_scheme(self) -> bool:
        """Whether `auto` takes the cache's dtype that a checkpoint asks for."""

    @property
    def reads_state_dtype(self) -> bool:
        """Whether it takes the dtype of states that a config declares."""

    @property
    def state_width(self) -> int | None:
        """Bytes of an element of a state where no config is read; None is the model's dtype."""

    @property
    def keeps_latents(self) -> bool:
        """Whether latent attention caches latents, rather than heads unfolded."""

    @property
    def has_sparse_format(self) -> bool:
        """Whether sparse attention keeps a format of its own."""


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
    """Blocks, tokens and requests that the cache holds; `available` is bytes of the tightest.

    `held` is what each kind of rank holds, by its first rank, with the formula; `groups` say how
    layers share it, `problem` what does not work. `more` are further predictions, `how` says how
    cache, requests and longest come about.
    """

    caches: Caches
    groups: tuple[str, ...]
    block: int
    blocks: int
    tokens: int
    concurrency: float
    available: int
    needed: int
    longest: int
    longest_each: int | None = None
    held: Mapping[int, tuple[int, str]] = {}
    more: Mapping[str, int] = {}
    problem: str = ""
    how: Mapping[str, str] = {}


def caches_of(engine: Profile, model: Model, ask: Ask, tp: int) -> Caches:
    """The cache of every layer."""
    width = model.facts.dtype(ask.dtype).value
    dtype = _dtype(engine, model, ask)
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


def _dtype(engine: Profile, model: Model, ask: Ask) -> CacheDType:
    """The cache's dtype; models with sparse attention keep a format of their own."""
    asked = ask.kv_dtype
    is_sparse = model.facts.config.number("index_topk") is not None
    if is_sparse and engine.has_sparse_format and (asked == "auto" or asked.startswith("fp8")):
        asked = "fp8_ds_mla"
    return cache_dtype(asked, model.facts, ask.dtype, engine.reads_scheme)


def _layer(
    engine: Profile, model: Model, index: int, place: int, dtype: CacheDType, width: int, tp: int
) -> list[tuple[int, LayerCache, str, str]]:
    """The caches of one layer, each with its place beside the first, label and formula."""
    one = model.attention_of(index)
    modules = model.inventory.modules_of(index)
    found: list[tuple[int, LayerCache, str, str]] = []
    if one is None or _is_encoder(model) or model.structure.checkpoint.configs:
        return found
    if model.facts.unmodelled_cache:
        return found
    states = [kind for kind in (one.kind, *one.beside) if kind in ("linear", "ssm")]
    if one.kind not in ("linear", "ssm", "none"):
        index_width = model.facts.config.number("index_head_dim") or 0
        index_width *= model.facts.config.number("index_topk") is not None
        label, formula = one.label, ""
        if engine.keeps_latents:
            size = token_bytes(one, dtype, tp, index_width)
        else:
            size = plain_bytes(one, dtype, tp)
        if not size:
            size, label = _from_rows(modules, dtype, tp)
        kind, reach = reach_of(model.facts, place, len(model.indices))
        label = label if kind == "full" and not model.facts.window else max(
            label, "config", key=_ORDER.index)  # fmt: skip
        found.append((0, LayerCache(kind, size, 0, reach), label, formula))
    if states:
        state = state_of(modules, model.facts, width, _state_width(engine, model, width), tp)
        size = state.convolution + state.recurrent
        chunk = _chunk(model) if "ssm" in states else 0
        cache = LayerCache(STATE, 0, size, chunk)
        found.append((BESIDE, cache, state.label, state.formula))
    cross = [m for m in modules if m.role in ("k", "v") and _CROSS.search(m.path) and m.shape]
    if cross:
        rows = sum(m.shape[0] for m in cross if m.shape)
        tokens = model.facts.config.number("max_source_positions") or 1500
        cache = LayerCache(CROSS, dtype.nbytes(-(-rows // tp), 0), 0, tokens)
        found.append((_TO_ENCODER, cache, "config", f"{tokens:,} encoder tokens"))
    return found


def _chunk(model: Model) -> int:
    """Tokens that a state space is computed by at once."""
    return model.facts.config.number("mamba_chunk_size", "chunk_size") or _NO_CHUNK


def _is_encoder(model: Model) -> bool:
    """Whether nothing is generated: BERT and its kin keep no cache."""
    named = model.facts.config.architecture or ""
    generates = any(word in named for word in ("CausalLM", "ConditionalGeneration", "LMHead"))
    return bool(model.inventory.of_role("token_type")) and not generates


def _from_rows(modules: Sequence[Module], dtype: CacheDType, tp: int) -> tuple[int, str]:
    """Bytes of a token from the rows of keys and values, where nothing tells the heads."""
    rows = sum(m.shape[0] for m in modules if m.role in ("k", "v", "kv") and m.shape)
    qkv = next((sizes for m in modules if m.role == "qkv" and (sizes := out_and_in(m, None))), None)
    out = next((sizes for m in modules if m.role == "o" and (sizes := out_and_in(m, None))), None)
    if not rows and qkv is not None:
        rows = max(0, qkv[0] - out[1]) if out is not None else qkv[0] * 2 // 3
    return dtype.nbytes(-(-rows // tp), 0), "exact" if tp == 1 else "assumed"


def _state_width(engine: Profile, model: Model, width: int) -> int:
    """Bytes of an element of the recurrent state."""
    said = model.facts.config.said("mamba_ssm_cache_dtype", "mamba_ssm_dtype")
    if engine.reads_state_dtype and isinstance(said, str):
        return _WORD_BYTES.get(said, width)
    return engine.state_width or width
