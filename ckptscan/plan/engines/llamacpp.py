"""llama.cpp: a GGUF file made of the checkpoint, spread in layers over cards and the host.

Sources: llama.cpp at 007dbbf, src/llama-quant.cpp, src/llama-model.cpp, src/llama-kv-cache*.cpp;
ollama and ik_llama.cpp log the same figures. The checkpoint is safetensors: the file is a what-if.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from ckptscan.errors import UsageError
from ckptscan.hardware import parse_devices
from ckptscan.names import IndexSet
from ckptscan.plan.activations import measured, overhead
from ckptscan.plan.engines.llamacpp_cache import Cells, cache_type, cells_of
from ckptscan.plan.engines.llamacpp_plan import HEAD, Placed, planned
from ckptscan.plan.ggml import mix_named
from ckptscan.plan.gguf import INPUT, OUTPUT, File, Tensor, gguf_of
from ckptscan.plan.model import Model
from ckptscan.plan.spread import HOST, Spread, cards_of, spread
from ckptscan.plan.values import Ask, Beside, MemoryPlan, Parallel, Rank, Term

DEFAULT_GPU = "h100"
UBATCH = 512


@dataclass(frozen=True)
class LlamaCpp:
    """llama.cpp. `--max-num-batched-tokens` is its -ub, `--requests` its -np."""

    name: str = "llama.cpp"
    covers: str = "builds of 2026, ik_llama.cpp and ollama"
    reads_scheme: bool = False
    keeps_latents: bool = True
    reads_state_dtype: bool = False
    state_width: int | None = 4
    has_sparse_format: bool = False

    def plan(self, model: Model, ask: Ask) -> MemoryPlan:
        """The memory of every card and of the host."""
        ask = settled(model, ask)
        file = gguf_of(model, ask.local.outtype or "f16")
        cells = cells_of(self, model, ask)
        return planned(self.name, model, Placed(file, cells, ask, placed))


def settled(model: Model, ask: Ask) -> Ask:
    """What was asked with llama.cpp's defaults in place of what was left open."""
    devices = ask.devices or parse_devices(DEFAULT_GPU)
    count = cards_of("llama.cpp", devices, ask.parallel)
    split = ask.local.split or (1.0,) * count
    if len(split) != count:
        raise UsageError(
            f"--tensor-split names {len(split)} cards, {count} are there", "a share for each card"
        )
    return replace(
        ask,
        devices=devices,
        parallel=Parallel(pp=count),
        max_len=ask.max_len or model.facts.context.value,
        utilization=1.0 if ask.utilization is None else ask.utilization,
        kv_dtype=cache_type(ask.kv_dtype),
        max_seqs=max(ask.requests or 1, ask.max_seqs or 1),
        max_batched=ask.max_batched or UBATCH,
        block_size=1,
        local=ask.local._replace(outtype=_outtype(model, ask), split=split),
    )


def _outtype(model: Model, ask: Ask) -> str:
    """The mix asked for; without one what the converter's `auto` takes."""
    if ask.local.outtype not in (None, "auto"):
        return mix_named(ask.local.outtype or "")
    return "f16" if model.facts.declared_dtype == "float16" else "bf16"


class _Held(NamedTuple):
    """What lies on the cards and on the host: bytes by group, padding of rows."""

    file: File
    cells: Cells
    where: Spread
    groups: dict[int, Counter[str]]
    padding: Counter[int]


def placed(
    model: Model, ask: Ask, file: File, cells: Cells
) -> tuple[tuple[Rank, ...], tuple[Beside, ...], Spread]:
    """The cards with what they hold, the host with the rest."""
    shares = ask.local.split
    where = spread(len(model.indices), ask.local.gpu_layers, shares)
    groups: dict[int, Counter[str]] = {card: Counter() for card in (*range(len(shares)), HOST)}
    padding: Counter[int] = Counter()
    for tensor in file.tensors:
        card = _card_of(tensor, where)
        groups[card][tensor.group] += tensor.nbytes
        padding[card] += tensor.padding
    held = _Held(file, cells, where, groups, padding)
    ranks = tuple(_rank(model, ask, held, card) for card in range(len(shares)))
    return ranks, (_host(model, ask, held),), where


def _rank(model: Model, ask: Ask, held: _Held, card: int) -> Rank:
    """One card with its layers."""
    assert ask.devices is not None  # settled
    total = ask.devices.card.total_bytes
    share = ask.utilization or 1
    is_last = card == held.where.output
    places = held.where.layers_of(card)
    layers = IndexSet.of([model.indices[place] for place in places])
    terms = list(_weights(held.file, held.groups[card]))
    copied = _copied(held.file, model) if is_last else 0
    if copied:
        terms.append(Term(HEAD, copied, "the table once more, as the head", "engine"))
    if held.padding[card]:
        said = "rows of packed types padded to 512 values"
        terms.append(Term("row padding", held.padding[card], said, "engine", "rounding"))
    terms += _working(model, ask, is_last=is_last)
    terms.append(_cache(held.cells, places, ask))
    how = f"{share:g} of {total:,} B"
    alike = IndexSet.of([card])
    return Rank(card, card, alike, layers, tuple(terms), int(total * share), how)


def _host(model: Model, ask: Ask, held: _Held) -> Beside:
    """What the host holds: the input table, and the layers that no card takes."""
    places = held.where.layers_of(HOST)
    terms = list(_weights(held.file, held.groups[HOST]))
    if places:
        terms.append(_cache(held.cells, places, ask))
    layers = IndexSet.of([model.indices[place] for place in places])
    return Beside("host", layers, tuple(terms))


def _card_of(tensor: Tensor, where: Spread) -> int:
    if tensor.layer == INPUT:
        return HOST
    return where.output if tensor.layer == OUTPUT else where.cards[tensor.layer]


def _copied(file: File, model: Model) -> int:
    """Bytes of a tied table, which stands on the host as input and on a card as output."""
    if not model.facts.is_tied and model.inventory.of_role("lm_head"):
        return 0
    sizes = (one.nbytes for one in file.tensors if one.layer == INPUT and one.kind != "f32")
    return max(sizes, default=0)


def _weights(file: File, groups: Counter[str]) -> Iterator[Term]:
    for name, nbytes in groups.items():
        yield Term(name, nbytes, f"GGUF tensors of {file.mix}", "engine")


def _working(model: Model, ask: Ask, is_last: bool) -> Iterator[Term]:
    """The buffer of the graph and what the driver takes, both estimates."""
    batched, hidden = ask.max_batched or UBATCH, model.facts.hidden or 0
    width = hidden + (model.facts.vocabulary or 0) * is_last
    inner = max((m.shape[-2] for m in model.inventory.of_role("gate", "up", "gate_up")
                 if m.shape and len(m.shape) > 1), default=0)  # fmt: skip
    wide = max(width, 2 * hidden + 3 * inner)
    total = 4 * batched * wide
    how = f"{batched} tokens x {wide:,} x 4 B; without flash attention more"
    heads = model.heads.q or 0
    high = total + 4 * batched * (ask.max_len or 0) * heads
    buffer = Term("compute buffer", total, how, "estimated", "activations", total, high)
    yield measured(buffer, ask.activation_bytes)
    if ask.devices is not None and ask.devices.card.capability:
        rest = overhead("outside of the engine", 0.35, 0.1, 0.6, "CUDA context")
        yield measured(rest, ask.non_torch_bytes)


def _cache(cells: Cells, places: list[int], ask: Ask) -> Term:
    length, requests = ask.max_len or 0, ask.max_seqs or 1
    nbytes = cells.nbytes(places, length, requests)
    how = f"{len(places)} layers, {requests} x {length:,} tokens in cells, {ask.kv_dtype}"
    return Term("KV cache", nbytes, how, "engine", "kv")


ENGINE = LlamaCpp()
