"""llama.cpp's cache: cells of keys and values that are taken at the start, whole for each layer.

Sources: llama-kv-cache-iswa.cpp (cells of windows), llama-memory-recurrent.cpp (states in 32 bits),
llama-context.cpp (cells are padded to 256). Latent attention keeps the latent alone, as builds
since 2026 do; those before keep its values once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.plan.caches import BESIDE, Caches, caches_of
from ckptscan.plan.caches import Profile as CacheProfile
from ckptscan.plan.facts import FULL
from ckptscan.plan.kvcache import STATE, LayerCache
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask

PAD = 256
CACHE_TYPES = ("f16", "bf16", "f32", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
_SAME = {"auto": "f16", "float16": "f16", "bfloat16": "bf16", "float32": "f32"}


def cache_type(asked: str) -> str:
    """The type of the cache as llama.cpp calls it; raises UsageError for one that it lacks."""
    name = _SAME.get(asked, asked.lower())
    if name not in CACHE_TYPES:
        raise UsageError(
            f"llama.cpp has no cache of type {asked[:40]!r}", f"it has {', '.join(CACHE_TYPES)}"
        )
    return name


class Cells(NamedTuple):
    """What every layer keeps: by its place, and how cells are counted."""

    caches: Caches
    by_place: tuple[tuple[LayerCache, ...], ...]
    batched: int
    unified: bool
    has_windows: bool

    def nbytes(self, places: Sequence[int], length: int, requests: int) -> int:
        """Bytes of the caches of some layers, with so many requests of a length."""
        cells = {}
        total = 0
        for place in places:
            for cache in self.by_place[place]:
                key = (cache.kind, cache.reach)
                if key not in cells:
                    cells[key] = self.held(cache, length, requests)
                total += cells[key] * cache.token_bytes + requests * cache.state_bytes
        return total

    def held(self, cache: LayerCache, length: int, requests: int) -> int:
        """Cells of one layer for all requests."""
        if cache.kind == STATE:
            return 0
        streams, each = (1, length * requests) if self.unified else (requests, length)
        base = _padded(each)
        if self.has_windows and cache.kind != FULL and cache.reach:
            window = cache.reach * (requests if self.unified else 1) + self.batched
            base = _padded(min(base, window))
        return base * streams


def cells_of(engine: CacheProfile, model: Model, ask: Ask) -> Cells:
    """The cells of all layers; windows count where some layers look everywhere."""
    from dataclasses import replace

    caches = caches_of(engine, model, replace(ask, dtype="float32"), 1)
    place_of = {index: place for place, index in enumerate(model.indices)}
    by_place: list[list[LayerCache]] = [[] for _ in model.indices]
    for index, cache in caches.layers:
        place = place_of.get(index, place_of.get(index % BESIDE))
        if place is not None:
            by_place[place].append(cache)
    kinds = {cache.kind for _, cache in caches.layers if cache.token_bytes}
    return Cells(
        caches,
        tuple(map(tuple, by_place)),
        ask.max_batched or 512,
        ask.local.kv_unified,
        len(kinds) > 1 and FULL in kinds and not ask.local.swa_full,
    )


def _padded(cells: int) -> int:
    return -(-cells // PAD) * PAD
