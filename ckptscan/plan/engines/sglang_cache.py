"""SGLang's pools: one slot a token, a pool of states beside it, a smaller pool for windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.plan.caches import BESIDE, Cached, Caches, caches_of
from ckptscan.plan.facts import CHUNKED, SLIDING
from ckptscan.plan.kvcache import CROSS, STATE
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask, Rank

if TYPE_CHECKING:
    from ckptscan.plan.engines.sglang_0_5 import Sglang

WINDOW_SHARE = 0.8  # server_args.py: swa_full_tokens_ratio, of the tokens of full layers
STATE_SHARE = 0.9  # server_args.py: mamba_full_memory_ratio, of the memory of keys and values
STATES_OF_REQUEST = 3  # with a radix cache: MAMBA_CACHE_SIZE_MAX_RUNNING_REQUESTS_RATIO
# configs/model_config.py, is_hybrid_swa_model: the others keep windows whole
TWO_POOLS = ("Llama4ForConditionalGeneration", "GptOssForCausalLM", "MiMoV2FlashForCausalLM",
             "Step3p5ForCausalLM")  # fmt: skip


class _Pool(NamedTuple):
    """What a rank's layers keep: bytes of a token where all and where windows look, of a state."""

    full: int
    window: int
    state: int
    layers: int

    @property
    def cell(self) -> int:
        """Bytes of a token as the engine divides by."""
        return self.full + self.window


class _Room(NamedTuple):
    """What one rank has room for."""

    tokens: int
    slots: int


def cache_of(engine: Sglang, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
    """The tokens that all ranks have room for."""
    tp = ask.parallel.tp // ask.parallel.dp
    caches = caches_of(engine, model, ask, tp)
    length = ask.max_len or 1
    most = max(length, model.facts.context.value)
    has_pools = (model.facts.config.architecture or "") in TWO_POOLS and ask.hybrid_manager
    pools = {rank.rank: _pool(caches, rank, is_split=has_pools) for rank in ranks}
    available = min(rank.left for rank in ranks) if ask.kv_bytes is None else ask.kv_bytes
    if not any(pool.cell or pool.state for pool in pools.values()):
        none = {"key_bytes": 0, "value_bytes": 0}
        return Cached(caches, (), 1, 0, 0, 0.0, available, 0, most, more=none)
    rooms = [_room(pools[rank.rank], rank, ask) for rank in ranks]
    tokens = min(room.tokens for room in rooms)
    slots = min(room.slots for room in rooms)
    page = ask.block_size or 1
    if ask.blocks is not None:
        tokens = ask.blocks * page
    tokens = tokens // page * page
    held = {place: _held(pool, tokens + page, slots) for place, pool in pools.items()}
    first = pools[ranks[0].rank]
    each = min(most, tokens // ask.requests) if ask.requests else None
    concurrency = tokens / length
    if first.state:
        concurrency = min(concurrency, slots / STATES_OF_REQUEST)
    return Cached(
        caches,
        tuple(_described(first, has_pools)),
        page,
        tokens // page,
        tokens,
        concurrency,
        available,
        first.cell * -(-length // page) * page + first.state * STATES_OF_REQUEST,
        min(most, tokens),
        each,
        held,
        _more(model, caches, first, (tokens + page, slots)),
        how=_how(first, available, (tokens, slots), length),
    )


def _how(pool: _Pool, available: int, room: tuple[int, int], length: int) -> dict[str, str]:
    """How tokens and requests come about."""
    tokens, slots = room
    states = f" less {slots:,} states x {pool.state:,} B" if pool.state else ""
    windows = f", of windows {WINDOW_SHARE:g} of them" if pool.window and pool.full else ""
    requests = f"{tokens:,} tokens / {length:,}"
    if pool.state:
        requests += f", or {slots:,} states / {STATES_OF_REQUEST} a request if that is less"
    return {
        "cache": f"{available:,} B{states} // {pool.cell:,} B a token{windows}, in whole pages",
        "requests": requests,
        "longest": "the tokens of the cache, up to the model's context",
    }


def _pool(caches: Caches, rank: Rank, is_split: bool) -> _Pool:
    """The layers of one rank's stage; windows apart where the model has a pool for them."""
    own = [cache for index, cache in caches.layers if index % BESIDE in rank.layers]
    attending = [one for one in own if one.kind not in (STATE, CROSS)]
    window = [one for one in attending if is_split and one.kind in (SLIDING, CHUNKED)]
    total = sum(one.token_bytes for one in attending)
    apart = sum(one.token_bytes for one in window)
    states = sum(one.state_bytes for one in own if one.kind == STATE)
    return _Pool(total - apart, apart, states, len(attending))


def _room(pool: _Pool, rank: Rank, ask: Ask) -> _Room:
    """Tokens and states that fit on one rank."""
    left = max(0, rank.left if ask.kv_bytes is None else ask.kv_bytes)
    slots = 0
    if pool.state:
        slots = int(left * STATE_SHARE / (1 + STATE_SHARE)) // pool.state
        left -= slots * pool.state
    if not pool.cell:
        return _Room(1 << 40, slots)
    tokens = left // pool.cell
    if pool.window and pool.full:
        tokens = int(tokens * pool.cell / (pool.full + WINDOW_SHARE * pool.window))
    return _Room(tokens, slots)


def _held(pool: _Pool, slots: int, states: int) -> tuple[int, str]:
    """What the pools take: a page more than the tokens, a state more than the slots."""
    window = int(slots * WINDOW_SHARE) if pool.full else slots
    size = pool.full * slots + pool.window * window + pool.state * (states + bool(states))
    how = f"{slots:,} slots x {pool.full:,} B"
    if pool.window:
        how += f" + {window:,} x {pool.window:,} B of windows"
    if pool.state:
        how += f" + {states + 1:,} states x {pool.state:,} B"
    return size, how


def _described(pool: _Pool, is_split: bool) -> Iterator[str]:
    """The pools in words."""
    yield f"{pool.layers} layers, a slot of {pool.cell:,} B a token"
    if pool.window and is_split:
        yield f"windows keep {WINDOW_SHARE:g} of the tokens"
    if pool.state:
        yield f"states of {pool.state:,} B, {STATES_OF_REQUEST} a request"


def _more(model: Model, caches: Caches, pool: _Pool, room: tuple[int, int]) -> dict[str, int]:
    """What the log says of the pools: bytes of keys and of values, states and their slots."""
    slots, states = room
    total = pool.cell * slots
    keys = total
    if not any(one.latent is not None for one in model.attention):
        one = next((one for one in model.attention if one.head_dim), None)
        wide = (one.head_dim or 1) if one else 1
        whole = wide + ((one.v_head_dim or wide) if one else 1)
        keys = total * wide // whole
    found = {"key_bytes": keys, "value_bytes": total - keys}
    if pool.state:
        found |= {"state_slots": states, "state_bytes": pool.state * (states + 1)}
    return found
