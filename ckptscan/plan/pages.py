"""vLLM's blocks: caches of layers grouped so that one block is as large in every group.

Layers that are alike share a table of blocks. Where kinds are mixed, each kind is cut into groups
of one size, blocks of small tokens hold more of them, and a state is padded to a block. The rules
are those of vllm/v1/core/kv_cache_utils.py of each version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import lcm
from typing import NamedTuple

from ckptscan.plan.facts import CHUNKED, FULL, SLIDING
from ckptscan.plan.kvcache import CROSS, STATE, LayerCache


class Rules(NamedTuple):
    """How a version groups and counts.

    `block` is tokens of a block. `batched` is the most tokens computed at once. `states` is how
    many states a request keeps, but that `keeps_all` of those computed in chunks: one a block.
    `is_grouped` tells whether kinds keep groups of their own, `groups_chunks` whether they do where
    some attend within chunks;
    groups take the size of the largest kind if it is not `widens` times the smallest.
    `budgets_encoder` tells whether requests count as many encoder tokens as are computed at once.
    """

    block: int = 16
    batched: int = 8192
    states: int = 1
    keeps_all: bool = False
    is_grouped: bool = True
    groups_chunks: bool = True
    widens: float = 1.5
    budgets_encoder: bool = False


class Group(NamedTuple):
    """Layers that share a table of blocks: the cache of each, tokens of a block."""

    cache: LayerCache
    layers: tuple[int, ...]
    block: int

    def pages(self, length: int, rules: Rules) -> int:
        """Blocks that one request of this length needs in this group."""
        if self.cache.kind == STATE:
            is_kept = rules.keeps_all and self.cache.reach
            return -(-length // self.block) if is_kept else rules.states
        tokens = self.cache.tokens(length, rules.batched)
        if self.cache.kind == CROSS and rules.budgets_encoder:
            tokens = rules.batched
        pages = -(-tokens // self.block)
        return pages + (self.cache.kind == SLIDING)  # a window may begin within a block


@dataclass(frozen=True)
class Paging:
    """The groups of a model and the bytes of a block of one layer.

    Where layers of one kind differ in bytes, they are one group and `page` is 0: a block is then
    the sum over its layers, which `sizes` gives.
    """

    groups: tuple[Group, ...]
    page: int
    rules: Rules
    sizes: Mapping[int, int]
    problem: str = ""

    def block_bytes(self, layers: Iterable[int] | None = None) -> int:
        """Bytes of a block in all layers that take part, or in those of one stage."""
        held = None if layers is None else set(layers)

        def own(group: Group) -> tuple[int, ...]:
            return group.layers if held is None else tuple(i for i in group.layers if i in held)

        if self.sizes:
            return sum(self.sizes[index] for group in self.groups for index in own(group))
        return self.page * max((len(own(group)) for group in self.groups), default=0)

    def pages(self, length: int) -> int:
        """Blocks that one request of this length needs."""
        return sum(group.pages(length, self.rules) for group in self.groups)

    def longest(self, blocks: int, most: int) -> int:
        """The longest request, up to `most` tokens, that so many blocks hold."""
        if not self.groups or self.pages(1) > blocks:
            return 0 if self.groups else most
        low, high = 1, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.pages(middle) <= blocks else (low, middle - 1)
        return low

    @property
    def block(self) -> int:
        """Tokens of the smallest block that holds tokens."""
        sizes = [group.block for group in self.groups if group.cache.kind != STATE]
        return min(sizes, default=self.rules.block)


def paging_of(caches: Sequence[tuple[int, LayerCache]], rules: Rules) -> Paging:
    """The groups of these caches; layers by their index, in order."""
    caches = [pair for pair in caches if pair[1].token_bytes or pair[1].state_bytes]
    has_chunks = any(cache.kind == CHUNKED for _, cache in caches)
    if not rules.is_grouped or (has_chunks and not rules.groups_chunks):
        caches = _all_full(caches)
    if not caches:
        return Paging((), 0, rules, {})
    by_cache: dict[LayerCache, list[int]] = {}
    for index, cache in caches:
        by_cache.setdefault(cache, []).append(index)
    if len(by_cache) == 1:
        cache, layers = next(iter(by_cache.items()))
        page = cache.state_bytes or cache.token_bytes * rules.block
        return Paging((Group(cache, tuple(layers), rules.block),), page, rules, {})
    kinds = {(cache.kind, cache.reach) for cache in by_cache}
    if len(kinds) == 1:
        return _one_kind(by_cache, rules)
    return _mixed(by_cache, rules)


def _all_full(caches: Sequence[tuple[int, LayerCache]]) -> list[tuple[int, LayerCache]]:
    """Caches as a manager without groups keeps them: windows as if they looked everywhere."""
    has_full = any(cache.kind == FULL for _, cache in caches)
    return [
        (index, cache._replace(kind=FULL, reach=0))
        if has_full and cache.kind in (SLIDING, CHUNKED)
        else (index, cache)
        for index, cache in caches
    ]


def _one_kind(by_cache: Mapping[LayerCache, Sequence[int]], rules: Rules) -> Paging:
    """Layers that look equally far with keys of different widths: one group."""
    sizes = {
        index: cache.state_bytes or cache.token_bytes * rules.block
        for cache, layers in by_cache.items()
        for index in layers
    }
    first = max(by_cache, key=lambda cache: cache.token_bytes)
    group = Group(first, tuple(sorted(sizes)), rules.block)
    return Paging((group,), 0, rules, sizes)


def _mixed(by_cache: Mapping[LayerCache, Sequence[int]], rules: Rules) -> Paging:
    """Layers of several kinds: blocks as large for all, groups of as many layers."""
    blocks, page, problem = _aligned(by_cache, rules)
    counts = [len(layers) for layers in by_cache.values()]
    size = min(counts)
    if max(counts) < size * rules.widens:
        size = max(counts)
    groups: list[Group] = []
    for cache, layers in by_cache.items():
        number = -(-len(layers) // size)
        groups += [Group(cache, tuple(layers[i::number]), blocks[cache]) for i in range(number)]
    return Paging(tuple(groups), page, rules, {}, problem)


def _aligned(
    by_cache: Mapping[LayerCache, Sequence[int]], rules: Rules
) -> tuple[dict[LayerCache, int], int, str]:
    """Tokens of a block of each kind, the bytes that all have, and what does not divide."""
    tokens = {cache: cache.token_bytes for cache in by_cache if cache.kind != STATE}
    state = max((cache.state_bytes for cache in by_cache), default=0)
    block = rules.block
    if state and tokens:
        least = min(tokens.values())
        chunk = max((cache.reach for cache in by_cache if cache.kind == STATE), default=0)
        step = lcm(block, chunk) if rules.keeps_all and chunk else block
        block = max(block, step * -(-state // (step * max(1, least))))
    page = max((size * block for size in tokens.values()), default=state)
    blocks, problem = {}, ""
    for cache in by_cache:
        own = cache.token_bytes * block
        if cache.kind == STATE or not own:
            blocks[cache] = block
            continue
        if page % own:
            problem = f"blocks of {own:,} and {page:,} bytes can't be made equal"
        blocks[cache] = block * max(1, page // own)
    return blocks, page, problem


def described(paging: Paging) -> tuple[str, ...]:
    """The groups in words, alike ones counted."""
    found: dict[str, int] = {}
    for group in paging.groups:
        cache = group.cache
        how = {
            SLIDING: f"window of {cache.reach:,}",
            CHUNKED: f"chunks of {cache.reach:,}",
            CROSS: f"{cache.reach:,} encoder tokens",
            STATE: "state of constant size",
        }.get(cache.kind, "every token")
        unit = f"blocks of {group.block:,} tokens" if cache.kind != STATE else "a block a state"
        text = f"{len(group.layers)} layers, {how}, {unit}"
        found[text] = found.get(text, 0) + 1
    return tuple(f"{count} x ({text})" if count > 1 else text for text, count in found.items())
