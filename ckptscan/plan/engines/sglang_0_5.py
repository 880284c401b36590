"""SGLang 0.5: a static share of the card for weights and cache, the rest for activations.

Sources: sglang 0.5.9, srt/server_args.py (_handle_gpu_memory_settings), srt/model_executor/
model_runner_kv_cache_mixin.py, srt/mem_cache/memory_pool.py. What it logs as memory of weights is
what the driver gave away, whole segments of the allocator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ckptscan.errors import UsageError
from ckptscan.hardware import Card, parse_devices
from ckptscan.names import IndexSet
from ckptscan.plan import mxfp4, nvfp4
from ckptscan.plan.activations import measured, overhead
from ckptscan.plan.caches import Cached
from ckptscan.plan.engines.sglang_cache import cache_of
from ckptscan.plan.inventory import Module
from ckptscan.plan.latent import is_fp8, unfolded
from ckptscan.plan.loading import Loader
from ckptscan.plan.model import Model
from ckptscan.plan.outcome import outcome
from ckptscan.plan.sharding import Cut
from ckptscan.plan.stages import remainder_to_last_ones, stage_layers
from ckptscan.plan.values import GIB, Ask, MemoryPlan, Parallel, Rank, Term
from ckptscan.plan.weights import weight_terms
from ckptscan.structure import Attention

MIB = 1 << 20
DEFAULT_GPU = "h100"
# least MiB of a card -> tokens of a chunk, sequences in CUDA graphs below tp 4 and from there on
SETTINGS = (
    (160 * 1024, 16384, 512, 512),
    (60 * 1024, 8192, 256, 512),
    (35 * 1024, 4096, 32, 160),
    (20 * 1024, 2048, 24, 80),
    (0, 2048, 8, 8),
)
LEAST_CHUNK = 2048
LARGE_CARD, LARGE_RESERVE = 60 * 1024, 10 * 1024  # MiB
FP4_KERNELS = nvfp4.Kernels("cutlass-aligned", "cutlass", keeps_scales=True)
TOWER_SHARE = 0.95  # of the static share that models with a vision tower keep


@dataclass(frozen=True)
class Sglang:
    """SGLang 0.5. `--gpu-memory-utilization` is its --mem-fraction-static."""

    name: str = "sglang-0.5"
    covers: str = "0.5"
    since: tuple[int, int] = (0, 0)
    before: tuple[int, int] = (99, 0)
    scalars: int = 0
    max_split: int | None = None
    mrope_rows: int = 1
    long_copies: int = 1
    logs_segments: bool = True
    reads_scheme: bool = False
    keeps_latents: bool = True
    reads_state_dtype: bool = True
    state_width: int | None = 4  # configs/mamba_utils.py: float32 where no config says otherwise
    has_sparse_format: bool = False
    unknown_schemes: frozenset[str] = frozenset(("aqlm", "hqq"))

    def plan(self, model: Model, ask: Ask) -> MemoryPlan:
        """The memory of every rank, and what is left for the cache."""
        return outcome(self, model, self.settled(model, ask))

    def cards(self, parallel: Parallel) -> int:
        """Cards that one deployment takes: --dp shares those of --tp among copies of attention."""
        if parallel.dp > 1 and parallel.tp % parallel.dp:
            raise UsageError(
                f"--dp {parallel.dp} does not divide --tp {parallel.tp}",
                "SGLang's DP attention shares the ranks of --tp; say --tp 8 --dp 8",
            )
        return parallel.tp * parallel.pp

    def cut(self, parallel: Parallel) -> Cut:
        """How ranks cut a stage: attention among those of a copy, the rest among all."""
        shared = self.cards(parallel) // parallel.pp
        moe = 1 if parallel.ep > 1 else shared
        return Cut(shared // parallel.dp, moe, dense=shared)

    def settled(self, model: Model, ask: Ask) -> Ask:
        """What was asked with the engine's defaults in place of what was left open."""
        devices = ask.devices or parse_devices(DEFAULT_GPU)
        chunk, few, many = settings(devices.card)
        batched = ask.max_batched or chunk
        seqs = ask.max_seqs or (few if ask.parallel.tp < 4 else many)
        share = ask.utilization
        if share is None:
            share = static_share(devices.card, ask.parallel, batched, seqs)
            share *= _tower_factor(model)
        return replace(
            ask,
            devices=devices,
            max_len=ask.max_len or model.facts.context.value,
            utilization=share,
            max_batched=batched,
            max_seqs=seqs,
            block_size=ask.block_size or 1,
            mxfp4_backend=ask.mxfp4_backend or mxfp4.likely_backend(devices.card.capability),
        )

    def loader(self, model: Model, ask: Ask) -> Loader:
        """How tensors are held."""
        quantization = model.facts.config.quantization
        card = (ask.devices or parse_devices(DEFAULT_GPU)).card
        return Loader(
            model.facts.dtype(ask.dtype).value,
            model.heads,
            model.towers,
            model.facts.hidden,
            drops_zeros=quantization.get("sym") is not False,
            drops_order=quantization.get("desc_act") is not True,
            backend=ask.mxfp4_backend or "none",
            online=ask.quantization,
            capability=card.capability,
            is_tied=model.facts.is_tied,
            fp4_kernels=nvfp4.on_card(FP4_KERNELS, card.capability),
        )

    def table_width(self, model: Model, width: int) -> int:
        """layers/rotary_embedding.py: "cache needs to be in FP32 for numerical stability"."""
        return 4

    def workspace(self, model: Model) -> int:
        """None: its buffers are taken after loading."""
        return 0

    def latent_copies(self, one: Attention, kv_b: Module, width: int, tp: int) -> tuple[int, ...]:
        """w_kc and w_vc are kept beside kv_b_proj, in FP8 where it is stored so."""
        return (unfolded(one, tp, 1 if is_fp8(kv_b) else width),)

    def ranks(self, model: Model, ask: Ask) -> tuple[Rank, ...]:
        """Ranks that differ, with all terms but the cache."""
        parallel, devices = ask.parallel, ask.devices or parse_devices(DEFAULT_GPU)
        total = devices.card.total_bytes
        stages = stage_layers(model, parallel, remainder_to_last_ones)
        working = self._working(ask, total)
        made: list[Rank] = []
        for stage, layers in enumerate(stages):
            for cut, members in self._cuts(model, ask, stage):
                weights = weight_terms(self, model, ask, cut, (stage, layers, len(stages)))
                held = IndexSet.of(layers)
                first = next(iter(members))
                made.append(Rank(first, stage, members, held, (*weights, *working), total))
        return tuple(made)

    def _cuts(self, model: Model, ask: Ask, stage: int) -> list[tuple[Cut, IndexSet]]:
        """How ranks of a stage cut the model; alike ones together."""
        parallel, cut = ask.parallel, self.cut(ask.parallel)
        larger = (model.experts + ask.redundant_experts) % parallel.ep
        by_cut: dict[Cut, list[int]] = {}
        for place in range(parallel.tp):
            if parallel.ep > 1:
                alike = 0 if place < larger else larger
                cut = cut._replace(ep=parallel.ep, rank=alike, redundant=ask.redundant_experts)
            by_cut.setdefault(cut, []).append(stage * parallel.tp + place)
        return [(cut, IndexSet.of(ranks)) for cut, ranks in by_cut.items()]

    def _working(self, ask: Ask, total: int) -> tuple[Term, ...]:
        """What lies outside of torch, and what is kept free for activations and graphs."""
        is_many = ask.parallel.tp > 1 or ask.parallel.pp > 1
        how = "CUDA context, NCCL and others" if is_many else "CUDA context and others"
        rest = overhead("outside of torch", 1.2 if is_many else 0.6, 0.1, 5.7, how)
        rest = measured(rest, ask.non_torch_bytes)
        share = ask.utilization or 0.88
        there = total - rest.nbytes
        kept = Term(
            "kept for activations",
            there - int(there * share),
            f"1 - mem-fraction-static {share:g}, of {there:,} B free at the start",
            "engine",
            "activations",
        )
        return (rest, measured(kept, ask.activation_bytes))

    def cached(self, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
        """The cache that the ranks have room for."""
        return cache_of(self, model, ask, ranks)

    def expected(self, loaded: int, cached: Cached, ask: Ask) -> tuple[str, ...]:
        """The log lines that the engine should print."""
        lines = [f"Load weight end. ... mem usage={loaded / GIB:.2f} GB."]
        if not cached.groups:
            return tuple(lines)
        slots, more = cached.more.get("state_slots"), cached.more
        if slots is not None:
            states = f"{more['state_bytes'] / GIB:.2f}GB in all"
            lines.append(f"Mamba Cache is allocated. max_mamba_cache_size: {slots}, ... ({states})")
        keys, values = f"{more['key_bytes'] / GIB:.2f} GB", f"{more['value_bytes'] / GIB:.2f} GB"
        is_joint = not more["value_bytes"]
        size = f"KV size: {keys}" if is_joint else f"K size: {keys}, V size: {values}"
        lines.append(f"KV Cache is allocated. #tokens: {cached.tokens}, {size}")
        lines.append(
            f"max_total_num_tokens={cached.tokens}, chunked_prefill_size={ask.max_batched}, ..."
        )
        return tuple(lines)


def settings(card: Card) -> tuple[int, int, int]:
    """Tokens of a chunk and sequences in graphs that SGLang takes for a card of this size."""
    size = (card.driver_bytes or card.total_bytes) // MIB
    return next((chunk, few, many) for least, chunk, few, many in SETTINGS if size >= least)


def static_share(card: Card, parallel: Parallel, chunk: int, seqs: int) -> float:
    """mem_fraction_static where none is given: all but a reserve for activations and graphs."""
    total = (card.driver_bytes or card.total_bytes) // MIB
    reserve = 512 + max(chunk, LEAST_CHUNK) * 1.5 + seqs * 2
    reserve += parallel.tp * parallel.pp / 8 * 1024
    if parallel.dp > 1:
        reserve += seqs * parallel.dp * (4.5 if seqs > 300 else 3)
    if total > LARGE_CARD:
        reserve = max(reserve, LARGE_RESERVE)
    return max(0.01, round((total - reserve) / total, 3))


def _tower_factor(model: Model) -> float:
    """What models with a vision tower leave of the share: the larger the tower, the less."""
    if not model.has_tower:
        return 1.0
    vision = model.facts.config.tower("vision")
    layers = vision.number("num_hidden_layers") or 24
    hidden = vision.number("hidden_size") or 1024
    ratio = layers * hidden**2 / (24 * 1024**2)
    return TOWER_SHARE * max(0.8, min(1.05, 1 - 0.1 * (ratio - 1)))


ENGINE = Sglang()
