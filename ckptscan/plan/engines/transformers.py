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
from ckptscan.plan.caches import BESIDE, Caches, caches_of
from ckptscan.plan.devicemap import DISK, HOST, Block, balanced, device_map
from ckptscan.plan.engines.transformers_plan import Mapped, planned
from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.loading import group_of
from ckptscan.plan.model import Model
from ckptscan.plan.spread import cards_of
from ckptscan.plan.values import Ask, Beside, MemoryPlan, Parallel, Rank, Term

DEFAULT_GPU = "h100"
_FLOATS = frozenset(("F64", "F32", "F16", "BF16"))
_WIDTHS = {"float32": 4, "float": 4, "float64": 8}


def module_bytes(model: Model, ask: Ask, module: Module) -> int:
    """Bytes of a module once it is loaded; a tied head has none of its own."""
    if module.role == "lm_head" and model.facts.is_tied:
        return 0
    width = width_of(model, ask)
    return module.times * sum(_leaf_bytes(leaf, width) for leaf in module.leaves)


def width_of(model: Model, ask: Ask) -> int | None:
    """Bytes of a parameter: as config or --dtype say it, None as stored."""
    said = ask.dtype if ask.dtype != "auto" else model.facts.declared_dtype
    if said is None:
        return None
    return _WIDTHS.get(said, 2)


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
        ask = settled(model, ask)
        caches = caches_of(self, model, ask, 1)
        return planned(self, model, ask, mapped(self, model, ask, caches))


def settled(model: Model, ask: Ask) -> Ask:
    """What was asked with the engine's own choices in place of what was left open."""
    devices = ask.devices or parse_devices(DEFAULT_GPU)
    length = ask.max_len or model.facts.context.value
    return replace(
        ask,
        devices=devices,
        parallel=Parallel(pp=cards_of("transformers", devices, ask.parallel)),
        max_len=length,
        max_seqs=max(ask.requests or 1, ask.max_seqs or 1),
        max_batched=ask.max_batched or length,
        block_size=1,
    )


def mapped(engine: Transformers, model: Model, ask: Ask, caches: Caches) -> Mapped:
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
            terms += [_working(model, ask), _cache(caches, held, ask)]
        layers = IndexSet.of(block.layer for block in held if block.layer is not None)
        ranks.append(Rank(card, card, IndexSet.of([card]), layers, tuple(terms), total))
    beside = []
    for name in (HOST, DISK):
        held = [block for block, place in zip(blocks, places, strict=True) if place == name]
        layers = IndexSet.of(block.layer for block in held if block.layer is not None)
        beside.append(Beside(name, layers, tuple(_terms(contents[block] for block in held))))
    return Mapped(tuple(ranks), tuple(beside), caches)


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


def _working(model: Model, ask: Ask) -> Term:
    """What a prompt takes while it goes through a layer."""
    width = width_of(model, ask) or 2
    hidden = model.facts.hidden or 0
    inner = max((m.shape[-2] for m in model.inventory.of_role("gate", "up", "gate_up")
                 if m.shape and len(m.shape) > 1), default=0)  # fmt: skip
    tokens = (ask.max_batched or 0) * (ask.max_seqs or 1)
    total = tokens * (2 * inner + 4 * hidden) * width
    logits = tokens * (model.facts.vocabulary or 0) * (4 + width)
    how = f"{tokens:,} tokens x (2 x {inner:,} + 4 x {hidden:,}) x {width} B; one prompt at once"
    peak = Term("activation peak", total, how, "estimated", "activations", total // 2,
                total + logits)  # fmt: skip
    return measured(peak, ask.activation_bytes)


def _cache(caches: Caches, held: Sequence[Block], ask: Ask) -> Term:
    layers = {block.layer for block in held if block.layer is not None}
    length, requests = ask.max_len or 0, ask.max_seqs or 1
    nbytes = requests * cache_bytes(caches, layers, length)
    how = f"{len(layers)} layers, {requests} x {length:,} tokens"
    return Term("KV cache", nbytes, how, "engine", "kv")


def cache_bytes(caches: Caches, layers: Iterable[int | None], length: int) -> int:
    """Bytes of the caches of some layers for one request of a length."""
    held = frozenset(layers)
    return sum(
        cache.tokens(length, 1) * cache.token_bytes + cache.state_bytes
        for index, cache in caches.layers
        if index % BESIDE in held
    )


ENGINE = Transformers()
