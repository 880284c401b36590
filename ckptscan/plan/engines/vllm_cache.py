"""vLLM's cache: how many blocks fit beside the rest, and how many tokens and requests they hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ckptscan.plan.caches import BESIDE, Cached, caches_of
from ckptscan.plan.model import Model
from ckptscan.plan.pages import Paging, Rules, described, paging_of
from ckptscan.plan.values import Ask, Rank

if TYPE_CHECKING:
    from ckptscan.plan.engines.vllm import Vllm


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
        return Cached(caches, (), paging.block, 0, 0, 0.0, available, 0, most)
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
        _how(engine, paging, ask, ranks, blocks),
    )


def _how(
    engine: Vllm, paging: Paging, ask: Ask, ranks: Sequence[Rank], blocks: int
) -> dict[str, str]:
    """How blocks, tokens and requests come about."""
    length = ask.max_len or 1
    tight = min(ranks, key=lambda rank: _blocks(paging, rank, ask))
    left = max(0, tight.left if ask.kv_bytes is None else ask.kv_bytes)
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
    size = paging.block_bytes(_places(paging, rank))
    left = rank.left if ask.kv_bytes is None else ask.kv_bytes
    return max(0, left) // size if size else 1 << 40


def _places(paging: Paging, rank: Rank) -> list[int]:
    """The places of caches that lie on a rank's stage."""
    held = set(rank.layers)
    places = (index for group in paging.groups for index in group.layers)
    return [place for place in places if place % BESIDE in held]
