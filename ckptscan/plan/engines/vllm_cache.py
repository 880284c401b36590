"""vLLM's cache: how many blocks fit beside the rest, and how many tokens and requests they hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ckptscan.plan.caches import BESIDE, Cached, Caches, caches_of
from ckptscan.plan.kvcache import STATE
from ckptscan.plan.model import Model
from ckptscan.plan.pages import Paging, Rules, described, paging_of
from ckptscan.plan.values import Ask, Rank

if TYPE_CHECKING:
    from ckptscan.plan.engines.vllm import Vllm


def cache_of(engine: Vllm, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
    """The blocks that all ranks have room for, and what they hold."""
    caches = caches_of(engine, model, ask, ask.parallel.tp)
    paged = [one for one in caches.layers if one[1].kind != STATE or not engine.is_v0]
    paging = paging_of(paged, _rules(engine, ask))
    room = [_room(engine, caches, rank, ask) for rank in ranks]
    available = min(room)
    blocks = ask.blocks
    if blocks is None:
        blocks = min(map(partial(_blocks, paging), ranks, room))
    length = ask.max_len or 1
    most = max(length, model.facts.context.value)
    pages = paging.pages(length)
    if not paging.groups:
        return Cached(caches, (), paging.block, 0, 0, 0.0, available, 0, most)
    tokens, concurrency = _capacity(engine, paging, blocks, length)
    each = None
    if ask.requests:
        each = paging.longest(blocks // ask.requests, most)
    whole = paging.block_bytes()
    sizes = {rank.rank: paging.block_bytes(_places(paging, rank)) for rank in ranks}
    held = {
        place: (blocks * size, f"{blocks:,} blocks x {size:,} B") for place, size in sizes.items()
    }
    return Cached(
        caches,
        described(paging),
        paging.block,
        blocks,
        tokens,
        concurrency,
        available,
        pages * whole,
        paging.longest(blocks, most),
        each,
        held,
        {"cpu_blocks": ask.swap_bytes // max(1, whole)} if engine.is_v0 else {},
        paging.problem,
        _how(engine, paging, ask, tuple(zip(ranks, room, strict=True)), blocks),
    )


def _how(
    engine: Vllm, paging: Paging, ask: Ask, room: Sequence[tuple[Rank, int]], blocks: int
) -> dict[str, str]:
    """How blocks, tokens and requests come about, of ranks with the bytes they have for them."""
    length = ask.max_len or 1
    tight, left = min(room, key=lambda one: _blocks(paging, *one))
    left = max(0, left)
    size = paging.block_bytes(_places(paging, tight))
    cache = f"{left:,} B // {size:,} B a block on rank {tight.rank}"
    if ask.blocks is not None:
        cache = f"--num-gpu-blocks-override {blocks}"
    groups, pages = len(paging.groups), paging.pages(length)
    shared = f" // {groups} groups" if groups > 1 and not engine.is_v0 else ""
    tokens = f"{blocks:,} blocks{shared} x {paging.block} tokens"
    requests = f"{blocks:,} blocks / {pages:,} that a request of {length:,} tokens takes"
    if engine.is_v0:
        requests = f"{tokens} / {length:,}"
    elif engine.derives_tokens:
        tokens = f"requests x {length:,} tokens"
    return {
        "cache": f"{cache}; {tokens}",
        "requests": requests,
        "longest": f"the most tokens, up to the model's, that {blocks:,} blocks hold",
    }


def _capacity(engine: Vllm, paging: Paging, blocks: int, length: int) -> tuple[int, float]:
    """Tokens and requests of a length that blocks hold, as the version counts them."""
    if engine.is_v0:
        return blocks * paging.block, blocks * paging.block / length
    concurrency = blocks / max(1, paging.pages(length))
    if engine.derives_tokens:
        return int(concurrency * length), concurrency
    return blocks // len(paging.groups) * paging.block, concurrency


def _rules(engine: Vllm, ask: Ask) -> Rules:
    return Rules(
        ask.block_size or 16,
        ask.max_batched or 8192,
        states=2 if ask.prefix_caching and not engine.is_v0 else 1,
        keeps_all=bool(ask.prefix_caching) and engine.keeps_all_states,
        is_grouped=ask.hybrid_manager and not engine.is_v0,
        groups_chunks=engine.groups_chunks,
        widens=engine.widens,
        budgets_encoder=engine.budgets_encoder,
    )


def _room(engine: Vllm, caches: Caches, rank: Rank, ask: Ask) -> int:
    """Bytes for blocks on one rank; V0 keeps states of all sequences in tensors beside them."""
    if ask.kv_bytes is not None:
        return ask.kv_bytes
    held = set(rank.layers)
    states = sum(one.state_bytes for index, one in caches.layers if index % BESIDE in held)
    return rank.left - states * (ask.max_seqs or 256) * engine.is_v0


def _blocks(paging: Paging, rank: Rank, room: int) -> int:
    """Blocks that fit on one rank."""
    size = paging.block_bytes(_places(paging, rank))
    return max(0, room) // size if size else 1 << 40


def _places(paging: Paging, rank: Rank) -> list[int]:
    """The places of caches that lie on a rank's stage."""
    held = set(rank.layers)
    places = (index for group in paging.groups for index in group.layers)
    return [place for place in places if place % BESIDE in held]
