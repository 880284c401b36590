"""transformers 5 with `device_map="auto"`: blocks over cards, then the host, then disk.

Sources: transformers 5.23, integrations/accelerate.py.
What a prompt takes while it is computed is an estimate; the cache grows with the tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ckptscan.hardware import parse_devices
from ckptscan.names import IndexSet
from ckptscan.plan.activations import measured, overhead
from ckptscan.plan.caches import Caches, caches_of
from ckptscan.plan.devicemap import DISK, HOST, Block, balanced, device_map
from ckptscan.plan.engines.spreading import with_sequences
from ckptscan.plan.engines.transformers_plan import Mapped, planned
from ckptscan.plan.engines.transformers_requests import cache_bytes, computed_in, width_of, working
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.loading import group_of
from ckptscan.plan.model import Model
from ckptscan.plan.spread import cards_of
from ckptscan.plan.values import Ask, Beside, MemoryPlan, Parallel, Rank, Term

DEFAULT_GPU = "h100"
_FLOATS = frozenset(("F64", "F32", "F16", "BF16"))


def module_bytes(model: Model, ask: Ask, module: Module) -> int:
    """Bytes of a module once it is loaded; a tied head has none of its own."""
    if module.role == "lm_head" and model.facts.is_tied:
        return 0
    width = width_of(model, ask)
    return module.times * sum(_leaf_bytes(leaf, width) for leaf in module.leaves)


def _leaf_bytes(leaf: Leaf, width: int | None) -> int:
    if leaf.role in ("buffer", "rope"):
        return 0
    if width is None or leaf.role == "quantization" or leaf.dtype not in _FLOATS:
        return leaf.nbytes
    return leaf.numel * width


def largest_part(blocks: Sequence[Block], model: Model, ask: Ask) -> int:
    """The largest layer or module, be it a table of words."""
    by_module: Counter[str] = Counter()
    for module, _ in model.inventory.everything():
        by_module[module.path] += module_bytes(model, ask, module) // max(1, module.times)
    layers = (block.nbytes for block in blocks if block.layer is not None)
    return max(*layers, *by_module.values(), 0)


@dataclass(frozen=True)
class Transformers:
    """transformers; cards are filled one after the other, each computes in its turn.

    `part` gives the bytes that an even share is stretched by, from blocks and their model.
    """

    name: str = "transformers"
    covers: str = "5, device_map auto"
    since: tuple[int, int] = (5, 0)
    before: tuple[int, int] = (99, 0)
    part: Callable[[Sequence[Block], Model, Ask], int] = largest_part
    reads_scheme: bool = False
    keeps_latents: bool = True
    reads_state_dtype: bool = False
    state_width: int | None = None
    has_sparse_format: bool = False

    def plan(self, model: Model, ask: Ask) -> MemoryPlan:
        """The memory of every card, of the host and of the disk."""
        prompt, ask = ask.max_batched, settled(model, ask)
        dtype = "float32" if computed_in(model, ask) > 2 else ask.dtype
        caches = caches_of(self, model, replace(ask, dtype=dtype), 1)
        ranks, beside = mapped(self, model, ask, caches)
        return planned(self.name, model, ask, Mapped(ranks, beside, caches, prompt))


def settled(model: Model, ask: Ask) -> Ask:
    """What was asked with the engine's own choices in place of what was left open."""
    devices = ask.devices or parse_devices(DEFAULT_GPU)
    length = ask.max_len or model.facts.context.value
    return replace(
        with_sequences(ask),
        devices=devices,
        parallel=Parallel(pp=cards_of("transformers", devices, ask.parallel)),
        max_len=length,
        max_batched=ask.max_batched or length,
        block_size=1,
    )


def mapped(
    engine: Transformers, model: Model, ask: Ask, caches: Caches
) -> tuple[tuple[Rank, ...], tuple[Beside, ...]]:
    """The blocks of a model on their places."""
    assert ask.devices is not None  # settled
    count, total = ask.parallel.pp, ask.devices.card.total_bytes
    contents = dict(_blocks(model, ask))
    blocks = [*contents]
    outside = _outside(ask)
    room = total - sum(term.nbytes for term in outside)
    if ask.utilization is None:
        rooms = balanced(blocks, room, count, engine.part(blocks, model, ask))
    else:
        rooms = [int(room * ask.utilization)] * count
    places = device_map(blocks, rooms, ask.local.host_bytes)
    ranks = []
    for card in range(count):
        held = [block for block, place in zip(blocks, places, strict=True) if place == card]
        terms = [*_terms(contents[block] for block in held), *outside]
        if held:
            terms += [
                working(model, ask, ask.max_batched or 0, ask.max_seqs or 1),
                _cache(caches, held, ask),
            ]
        layers = IndexSet.of(block.layer for block in held if block.layer is not None)
        ranks.append(Rank(card, card, IndexSet.of([card]), layers, tuple(terms), total))
    beside = []
    for name in (HOST, DISK):
        held = [block for block, place in zip(blocks, places, strict=True) if place == name]
        layers = IndexSet.of(block.layer for block in held if block.layer is not None)
        beside.append(Beside(name, layers, tuple(_terms(contents[block] for block in held))))
    return tuple(ranks), tuple(beside)


def _blocks(model: Model, ask: Ask) -> Iterator[tuple[Block, Counter[str]]]:
    """What is never torn apart, in the order of the model, with its bytes by group."""
    outside = model.inventory.outside
    towers = [module for module in outside if module.tower != "text"]
    first = [m for m in outside if m.tower == "text" and m.role not in ("norm", "lm_head")]
    last = [m for m in outside if m.tower == "text" and m.role in ("norm", "lm_head")]
    for module in (*towers, *first):
        yield from _pieces(model, ask, module)
    for index in model.indices:
        sizes: Counter[str] = Counter()
        for module in model.inventory.modules_of(index):
            sizes[group_of(module)] += module_bytes(model, ask, module)
        yield Block(f"layer {index}", sizes.total(), index), sizes
    for module in last:
        yield from _pieces(model, ask, module)


def _pieces(model: Model, ask: Ask, module: Module) -> Iterator[tuple[Block, Counter[str]]]:
    """A module outside of the layers, as often as it stands."""
    nbytes = module_bytes(model, ask, module)
    for number in range(module.times) if nbytes else ():
        one = nbytes // module.times
        yield Block(f"{module.path} {module.role} {number}", one), Counter({group_of(module): one})


def _terms(contents: Iterable[Counter[str]]) -> Iterator[Term]:
    groups: Counter[str] = Counter()
    for one in contents:
        groups.update(one)
    for name, nbytes in groups.items():
        yield Term(name, nbytes, "as loaded; the device map's place", "engine")


def _outside(ask: Ask) -> tuple[Term, ...]:
    """What the driver takes of a card before anything is loaded."""
    if ask.devices is None or not ask.devices.card.capability:
        return ()
    rest = overhead("outside of torch", 0.35, 0.1, 0.6, "CUDA context")
    return (measured(rest, ask.non_torch_bytes),)


def _cache(caches: Caches, held: Sequence[Block], ask: Ask) -> Term:
    layers = {block.layer for block in held if block.layer is not None}
    length, requests = ask.max_len or 0, ask.max_seqs or 1
    nbytes = requests * cache_bytes(caches, layers, length)
    how = f"{len(layers)} layers, {requests} x {length:,} tokens"
    return Term("KV cache", nbytes, how, "engine", "kv")


ENGINE = Transformers()
