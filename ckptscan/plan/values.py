"""The values of a plan: what was asked, and what comes of it; every number with its formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ckptscan.hardware import Devices
from ckptscan.names import IndexSet

GIB = 1 << 30
TRAINING = "training"  # stands for the engine in plans of training
LABELS = ("exact", "config", "engine", "inferred", "assumed", "estimated")


class Term(NamedTuple):
    """One part of a rank's memory: bytes, how they come about, how sure they are.

    `low` and `high` bound it where a choice of the engine's decides, or where it is estimated.
    `part` groups terms: weights, rounding, kernel, rope, activations, overhead, kv.
    """

    name: str
    nbytes: int
    formula: str
    label: str
    part: str = "weights"
    low: int | None = None
    high: int | None = None


class Parallel(NamedTuple):
    """How many ways a model is split: tensors, stages, copies, experts."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1


class WhatIf(NamedTuple):
    """What is not so yet: weights in another format, adapters beside them.

    `quantize` is a recipe as written: `int4-g128`, `experts=mxfp4,attention=fp8`. `lora_rank` is
    the rank that the engine makes room for, `loras` how many adapters at once, `lora_targets` the
    modules that have them. `fits` asks for the
    cheapest mix of `fit_formats` that fits; none named are those that suit the card.
    """

    quantize: str | None = None
    lora_rank: int = 0
    loras: int = 1
    fits: bool = False
    fit_formats: tuple[str, ...] = ()
    lora_targets: tuple[str, ...] = ("linear",)


class Speed(NamedTuple):
    """Rates to reckon with, a second: bytes of a card's memory, its operations; None is sourced."""

    bandwidth: int | None = None
    flops: int | None = None


class LoadAsk(NamedTuple):
    """What to tell of loading: the rate of a disk or link in bytes a second, None for no time."""

    rate: int | None = None


class Training(NamedTuple):
    """How a model is trained. `kind` is full, lora or qlora; `zero` the stage of ZeRO, 0 for none.

    `offload` is none, optimizer or all (optimizer and weights), `checkpointing` none, selective
    or full, `optimizer` adam, adam8bit or sgd. `is_float32` is without mixed precision.
    """

    kind: str = "full"
    zero: int = 0
    offload: str = "none"
    seq_len: int = 0
    micro_batch: int = 1
    optimizer: str = "adam"
    checkpointing: str = "selective"
    sequence_parallel: bool = False
    nodes: int = 1
    is_float32: bool = False


class Row(NamedTuple):
    """One figure of a section: `value` in `unit` (B, s, tokens/s ...), None where it is unknown."""

    name: str
    value: int | float | None
    unit: str
    formula: str
    label: str = "estimated"


class Section(NamedTuple):
    """What a plan says beside memory: the name in json, a title for people, figures, notes."""

    name: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


_ALONE = Parallel()
_AS_IS = WhatIf()


class Local(NamedTuple):
    """What engines are told that spread a model over cards and the host; None is their choice.

    `outtype` is the mix of a GGUF file, `gpu_layers` is -ngl, `split` the shares of the cards,
    `host_bytes` what the host may hold. `swa_full` keeps windows whole, `kv_unified` lets
    sequences share one run of cells.
    """

    outtype: str | None = None
    gpu_layers: int | None = None
    split: tuple[float, ...] = ()
    host_bytes: int | None = None
    swa_full: bool = False
    kv_unified: bool = False


_NOWHERE = Local()


@dataclass(frozen=True)
class Ask:
    """What to plan for; None is what the engine chooses. Sizes are bytes.

    `activation_bytes`, `non_torch_bytes`, `graph_bytes`, `weight_bytes` and `kv_bytes` replace our
    figures by measured ones; `blocks` is --num-gpu-blocks-override.
    """

    devices: Devices | None = None
    parallel: Parallel = _ALONE
    engine: str = "vllm-0.11"
    max_len: int | None = None
    utilization: float | None = None
    kv_dtype: str = "auto"
    dtype: str = "auto"
    max_seqs: int | None = None
    max_batched: int | None = None
    requests: int | None = None
    block_size: int | None = None
    blocks: int | None = None
    swap_bytes: int = 4 * GIB
    mxfp4_backend: str | None = None
    quantization: str | None = None
    hybrid_manager: bool = True
    prefix_caching: bool | None = None
    redundant_experts: int = 0
    weight_bytes: int | None = None
    kv_bytes: int | None = None
    activation_bytes: int | None = None
    non_torch_bytes: int | None = None
    graph_bytes: int | None = None
    what_if: WhatIf = _AS_IS
    speed: Speed | None = None
    train: Training | None = None
    load: LoadAsk | None = None
    local: Local = _NOWHERE


@dataclass(frozen=True)
class Rank:
    """One card of a deployment: its stage, the layers that lie there, what its memory is for.

    `alike` are the ranks that hold the same. `capacity` is what the engine may use, `how` says how
    that comes about.
    """

    rank: int
    stage: int
    alike: IndexSet
    layers: IndexSet
    terms: tuple[Term, ...]
    capacity: int
    how: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of all terms."""
        return sum(term.nbytes for term in self.terms)

    @property
    def fixed(self) -> int:
        """Bytes of all terms but the KV cache."""
        return sum(term.nbytes for term in self.terms if term.part != "kv")

    def part(self, *names: str) -> int:
        """Bytes of the terms of these parts."""
        return sum(term.nbytes for term in self.terms if term.part in names)

    @property
    def loaded(self) -> int:
        """What the engine logs once the model is loaded."""
        return self.part("weights", "rounding", "kernel", "rope")

    @property
    def left(self) -> int:
        """What is left for the KV cache; negative where the rest does not fit."""
        return self.capacity - self.fixed

    @property
    def fits(self) -> bool:
        """Whether all but the KV cache fits into what the engine may use."""
        return self.left > 0


class Beside(NamedTuple):
    """What lies on no card: `host` or `disk`, the layers there, what is held."""

    place: str
    layers: IndexSet
    terms: tuple[Term, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all terms."""
        return sum(term.nbytes for term in self.terms)


class KV(NamedTuple):
    """The cache of keys and values: what a token takes, how many tokens and requests there are.

    `bytes_per_token` is the whole model's, before any copy for tensor parallelism; `state_bytes`
    is constant for a request. `rank_bytes_per_token` is what one rank holds. `concurrency` is at
    the context `max_len`; `longest` is the longest context of one request, `longest_each` that of
    each of the requests asked for. `how` says how cache, requests and longest come about.
    """

    bytes_per_token: int
    state_bytes: int
    rank_bytes_per_token: int
    dtype: str
    label: str
    formula: str
    block_size: int
    blocks: int
    tokens: int
    concurrency: float
    max_len: int
    longest: int
    needed: int
    longest_each: int | None = None
    groups: tuple[str, ...] = ()
    how: Mapping[str, str] = {}


class Refusal(NamedTuple):
    """A tensor-parallel size that does not work, and why."""

    tp: int
    why: str


@dataclass(frozen=True)
class MemoryPlan:
    """The memory of a deployment: terms of every rank, the cache, what the engine will print.

    `fits` is whether weights, overheads and one request at the wanted context fit; `why_not` says
    what is in the way, `advice` what to change. `assumptions` is what the plan rests on and
    nothing in the checkpoint says. `cards` is how many cards the deployment takes, `beside` what
    lies on none of them. `unserved` is why no engine serves such a model, so that weights count;
    `unmodelled` why nothing is told of its cache.
    """

    engine: str
    ask: Ask
    cards: int
    ranks: tuple[Rank, ...]
    kv: KV
    predictions: Mapping[str, int | float | None]
    valid_tp: tuple[int, ...]
    refusals: tuple[Refusal, ...]
    fits: bool
    why_not: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    left_out: tuple[Term, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    beside: tuple[Beside, ...] = ()
    sections: tuple[Section, ...] = ()
    unserved: str = ""
    unmodelled: str = ""

    @property
    def is_training(self) -> bool:
        """Whether it is trained, not served: there is no cache."""
        return self.ask.train is not None

    @property
    def has_given_cache(self) -> bool:
        """Whether the cache takes what was said, not what the rest leaves."""
        return self.ask.kv_bytes is not None and not self.is_training

    @property
    def first(self) -> Rank:
        """The rank whose log people read."""
        return self.ranks[0]

    @property
    def tightest(self) -> Rank:
        """The rank with the least left for the cache."""
        return min(self.ranks, key=lambda rank: rank.left)
