"""vLLM: what its versions have in common; a version is a value of `Vllm`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ckptscan.hardware import Card, parse_devices
from ckptscan.names import IndexSet
from ckptscan.plan import mxfp4, nvfp4
from ckptscan.plan.activations import Run, activation_peak, measured, overhead
from ckptscan.plan.caches import Cached
from ckptscan.plan.engines.vllm_cache import cache_of
from ckptscan.plan.inventory import Module
from ckptscan.plan.latent import absorbed, unfolded
from ckptscan.plan.loading import Loader
from ckptscan.plan.model import Model
from ckptscan.plan.outcome import outcome
from ckptscan.plan.sharding import Cut
from ckptscan.plan.stages import stage_layers
from ckptscan.plan.values import GIB, Ask, MemoryPlan, Parallel, Rank, Term
from ckptscan.plan.weights import weight_terms
from ckptscan.structure import Attention

DEFAULT_GPU = "h100"
WIDE_TABLES = ("gpt_oss",)  # model_executor/models/gpt_oss.py: get_rope(dtype=torch.float32)
LARGE_CARD = 70 * GIB  # from here vLLM's defaults are 1,024 sequences and 8,192 tokens


@dataclass(frozen=True)
class Vllm:
    """One behaviour of vLLM.

    `scalars` are tensors of one number that each attention layer keeps on the card, `long_copies`
    how often the tables of long RoPE are kept. `keeps_latents` tells whether latent attention
    caches latents rather than plain heads. Groups of caches take the size of the largest kind if it
    is not `widens` times the smallest; `groups_chunks` tells whether layers that attend within
    chunks have groups of their own. `non_torch` is GiB outside of torch with one card and with
    several. `graphs` is GiB that are set aside for CUDA graphs; None where they are taken from what
    is left outside of the budget. `fp4_kernels` run NVFP4 on Blackwell.
    """

    name: str
    covers: str
    since: tuple[int, ...]
    before: tuple[int, ...]
    stages: Callable[[int, int], list[int]]
    scalars: int
    mrope_rows: int
    non_torch: tuple[float, float]
    loading: str
    is_v0: bool = False
    long_copies: int = 1
    fuses_latent: bool = True
    keeps_latents: bool = True
    absorbs_latents: bool = False
    latent_workspace: int = 0
    widens_tables: bool = False
    utilization: float = 0.9
    max_split: int | None = None
    derives_tokens: bool = False
    widens: float = 1.0
    reads_scheme: bool = False
    reads_state_dtype: bool = False
    keeps_all_states: bool = False
    groups_chunks: bool = False
    graphs: float | None = None
    logs_segments: bool = False
    state_width: int | None = None
    fp4_kernels: nvfp4.Kernels = nvfp4.CUTLASS
    unknown_schemes: frozenset[str] = frozenset()

    @property
    def has_sparse_format(self) -> bool:
        """Whether sparse attention keeps a format of its own."""
        return not self.is_v0

    def cards(self, parallel: Parallel) -> int:
        """Cards that one deployment takes: copies have cards of their own."""
        return parallel.tp * parallel.pp * parallel.dp

    def cut(self, parallel: Parallel) -> Cut:
        """How ranks cut a stage: copies share the experts, by their width unless under --ep."""
        return Cut(parallel.tp, 1 if parallel.ep > 1 else parallel.tp * parallel.dp)

    def table_width(self, model: Model, width: int) -> int:
        """Tables are in the model's dtype, but for models that ask for 32 bits.

        FlashInfer turns latent attention with YaRN, and wants 32.
        """
        is_latent = any(one.latent is not None for one in model.attention)
        if self.widens_tables and is_latent and model.facts.rope_type == "yarn":
            return 4
        return 4 if model.facts.config.model_type in WIDE_TABLES else width

    def workspace(self, model: Model) -> int:
        """A buffer that importing the kernels for latent attention takes."""
        is_latent = any(one.latent is not None for one in model.attention)
        return self.latent_workspace if is_latent else 0

    def latent_copies(self, one: Attention, kv_b: Module, width: int, tp: int) -> tuple[int, ...]:
        """V1 keeps a copy in the model's dtype where kv_b_proj is quantized, 0.7 products too."""
        if self.absorbs_latents:
            return absorbed(one, kv_b, tp, width)
        is_kept = kv_b.is_packed and self.keeps_latents
        return (unfolded(one, tp, width),) if is_kept else ()

    def plan(self, model: Model, ask: Ask) -> MemoryPlan:
        """The memory of every rank, and what is left for the cache."""
        return outcome(self, model, self.settled(model, ask))

    def settled(self, model: Model, ask: Ask) -> Ask:
        """What was asked with the engine's defaults in place of what was left open."""
        devices = ask.devices or parse_devices(DEFAULT_GPU)
        card, context = devices.card, model.facts.context.value
        is_large = card.total_bytes >= LARGE_CARD and "a100" not in card.name.lower()
        length = ask.max_len or context
        seqs, batched = (1024, 8192) if is_large and not self.is_v0 else (256, 2048)
        if self.is_v0:
            # 0.6 config.py: prefill is chunked from 32K on, by 512 tokens; else it is whole
            batched = 512 if length > 32768 else max(length, 2048)
        return replace(
            ask,
            devices=devices,
            max_len=length,
            utilization=self.utilization if ask.utilization is None else ask.utilization,
            max_seqs=ask.max_seqs or seqs,
            max_batched=ask.max_batched or batched,
            block_size=ask.block_size or self._block_size(model, card),
            mxfp4_backend=ask.mxfp4_backend or mxfp4.likely_backend(card.capability),
        )

    def _block_size(self, model: Model, card: Card) -> int:
        """Tokens of a block: 16, or what the kernel of latent attention wants."""
        is_latent = any(one.latent is not None for one in model.attention)
        if not is_latent or self.is_v0:
            return 16
        return 128 if card.capability == 100 else 64 if card.capability == 90 else 16

    def loader(self, model: Model, ask: Ask) -> Loader:
        """How tensors are held."""
        quantization = model.facts.config.quantization
        card = (ask.devices or parse_devices(DEFAULT_GPU)).card
        is_symmetric = quantization.get("sym") is not False
        return Loader(
            model.facts.dtype(ask.dtype).value,
            model.heads,
            model.towers,
            model.facts.hidden,
            drops_zeros=is_symmetric,
            drops_order=quantization.get("desc_act") is not True,
            backend=ask.mxfp4_backend or "none",
            online=ask.quantization,
            capability=card.capability,
            fuses_latent=self.fuses_latent,
            is_tied=model.facts.is_tied,
            has_wide_workspace=self.is_v0,
            unpacks_books=not self.is_v0,
            cuts_places=_has_cut_places(model),
            fp4_kernels=nvfp4.on_card(self.fp4_kernels, card.capability),
        )

    def ranks(self, model: Model, ask: Ask) -> tuple[Rank, ...]:
        """Ranks that differ, with all terms but the cache; each says which ranks are like it."""
        parallel, devices = ask.parallel, ask.devices or parse_devices(DEFAULT_GPU)
        share = 1.0 if ask.kv_bytes is not None else ask.utilization or 0.9
        capacity = int(devices.card.total_bytes * share)
        how = f"{share:g} of {devices.card.total_bytes:,} B"
        stages = stage_layers(model, parallel, self.stages)
        made: list[Rank] = []
        for stage, layers in enumerate(stages):
            for cut, members in self._cuts(model, ask, stage):
                weights = weight_terms(self, model, ask, cut, (stage, layers, len(stages)))
                terms = (*weights, *self._working(model, ask))
                rank = next(iter(members))
                held = IndexSet.of(layers)
                made.append(Rank(rank, stage, members, held, terms, capacity, how))
        return tuple(made)

    def _cuts(self, model: Model, ask: Ask, stage: int) -> list[tuple[Cut, IndexSet]]:
        """How ranks of a stage cut the model; alike ones together.

        Ranks go through tensors first, then stages, then copies.
        """
        parallel, cut = ask.parallel, self.cut(ask.parallel)
        larger = (model.experts + ask.redundant_experts) % parallel.ep  # ranks with one more
        by_cut: dict[Cut, list[int]] = {}
        for dp in range(parallel.dp):
            for tp in range(parallel.tp):
                place = dp * parallel.tp + tp
                rank = (dp * parallel.pp + stage) * parallel.tp + tp
                if parallel.ep > 1:
                    alike = 0 if place < larger else larger
                    cut = cut._replace(ep=parallel.ep, rank=alike, redundant=ask.redundant_experts)
                by_cut.setdefault(cut, []).append(rank)
        return [(cut, IndexSet.of(ranks)) for cut, ranks in by_cut.items()]

    def _working(self, model: Model, ask: Ask) -> tuple[Term, ...]:
        """Activations and what lies outside of torch."""
        run = Run(ask.max_seqs or 256, ask.max_batched or 2048, ask.parallel.tp)
        peak = activation_peak(model, run)
        alone, several = self.non_torch
        is_many = ask.parallel.tp > 1 or ask.parallel.pp > 1
        how = "CUDA context, NCCL and others" if is_many else "CUDA context and others"
        high = 5.7 if is_many else 1.79 if self.is_v0 else 0.35
        rest = overhead("outside of torch", several if is_many else alone, 0.1, high, how)
        terms = [measured(peak, ask.activation_bytes), measured(rest, ask.non_torch_bytes)]
        if self.graphs is not None:
            graphs = overhead("CUDA graphs", self.graphs, 0.06, 2.02, "set aside for capture")
            terms.append(measured(graphs, ask.graph_bytes))
        return tuple(terms)

    def cached(self, model: Model, ask: Ask, ranks: Sequence[Rank]) -> Cached:
        """The cache that the ranks have room for."""
        return cache_of(self, model, ask, ranks)

    def expected(self, loaded: int, cached: Cached, ask: Ask) -> tuple[str, ...]:
        """The log lines that the engine should print."""
        length = ask.max_len or 0
        lines = [self.loading.format(loaded=loaded / GIB)]
        if not cached.groups:
            return tuple(lines)
        if self.is_v0:
            swapped = cached.more.get("cpu_blocks", 0)
            lines.append(f"# GPU blocks: {cached.blocks}, # CPU blocks: {swapped}")
        else:
            lines.append(f"Available KV cache memory: {cached.available / GIB:.2f} GiB")
            lines.append(f"GPU KV cache size: {cached.tokens:,} tokens")
        shown = f"{length}" if self.is_v0 else f"{length:,}"
        lines.append(
            f"Maximum concurrency for {shown} tokens per request: {cached.concurrency:.2f}x"
        )
        return tuple(lines)


def _has_cut_places(model: Model) -> bool:
    """Whether the tower is CLIP or SigLIP, whose places are a VocabParallelEmbedding."""
    named = model.facts.config.tower("vision").model_type or ""
    return named.startswith(("clip", "siglip_"))
