"""What an engine holds of a model on one rank: its parameters, in the order it makes them.

A parameter is what the allocator is asked for: several tensors of a checkpoint where an engine
fuses them. Every byte that is not simply a stored one is a change with a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import prod

from ckptscan.dtypes import DTYPES
from ckptscan.plan import mxfp4, nvfp4
from ckptscan.plan.inventory import Inventory, Leaf, Module
from ckptscan.plan.parameters import Held, Joined, Parameter
from ckptscan.plan.sharding import (
    TABLES,
    Cut,
    Heads,
    experts_of_rank,
    is_routed,
    is_stack,
    local_shape,
    out_and_in,
    times_of_rank,
)
from ckptscan.structure.roles import OTHER, part_of

# modules that engines hold as one, by role
FUSED = {
    "q": "qkv",
    "k": "qkv",
    "v": "qkv",
    "gate": "gate_up",
    "up": "gate_up",
    "shared_expert.gate": "shared_expert.gate_up",
    "shared_expert.up": "shared_expert.gate_up",
    "expert.gate": "expert.gate_up",
    "expert.up": "expert.gate_up",
}
LATENT_FUSED = {"q_a": "qkv_a", "kv_a": "qkv_a"}
_FLOATS = frozenset(("F64", "F32", "F16", "BF16"))
_ORDERS = ("g_idx", "weight_g_idx")
_WIDE = ("a_log",)  # kept in 32 bits whatever the model's dtype
_EIGHT_BITS = ("F8_", "I8")
FIRST_FP8 = 89  # compute capability of Ada
FP8_BLOCK = 128
MULTIPROCESSORS = 108  # of an A100; others have 46 to 84, and 512 bytes are handed out anyway
# roles that a plan tells apart from the part of the model that they belong to
GROUPS = {
    "token_type": "embeddings",
    "lm_head": "lm_head",
    **dict.fromkeys(("router", "router_bias", "shared_expert_router"), "router"),
    **dict.fromkeys(("norm", "qk_norm"), "norms"),
    **dict.fromkeys(("ssm", "rwkv", "rnn", "conv"), "state space"),
    **dict.fromkeys("token head patch projector time rope quantization".split(), OTHER),
}
ONLINE = frozenset(
    "q k v o qkv kv q_a q_b kv_a kv_b gate up gate_up down "
    "shared_expert.gate shared_expert.up shared_expert.gate_up shared_expert.down "
    "expert.gate expert.up expert.gate_up expert.down".split()
)


@dataclass(frozen=True)
class Loader:
    """How an engine holds tensors: `width` is bytes of a parameter that is not quantized.

    `drops_zeros` and `drops_order` tell of GPTQ's books that its kernel does not keep. `backend`
    runs MXFP4 experts, `fp4_kernels` what is NVFP4. `unpacks_books` tells whether scales of
    bitsandbytes that were quantized once more are unpacked on loading. `online` is what
    --quantization does to weights stored in 16 bits, and `capability` the card's, which decides
    how. `cuts_places` tells whether the table of places of a vision tower is cut as one of words.
    """

    width: int
    heads: Heads
    towers: dict[str, Heads]
    hidden: int | None
    drops_zeros: bool = True
    drops_order: bool = True
    backend: str = "none"
    online: str | None = None
    capability: int = 90
    fuses_latent: bool = True
    is_tied: bool = False
    has_wide_workspace: bool = False
    unpacks_books: bool = True
    cuts_places: bool = False
    fp4_kernels: nvfp4.Kernels = nvfp4.MARLIN

    @property
    def runs_fp8_as_marlin(self) -> bool:
        """Whether the card computes no FP8, so that a kernel unpacks it."""
        return 0 < self.capability < FIRST_FP8

    def keeps_scales(self, module: Module) -> bool:
        """Whether scales of NVFP4 stay beside the copy that the kernel reads."""
        is_kept = self.fp4_kernels.keeps_scales and not is_routed(module)
        return is_kept and nvfp4.has_own_scales(module)

    def heads_of(self, module: Module) -> Heads:
        """The heads of the attention that a module lies in."""
        if module.tower == "text":
            return self.heads
        return next(
            (heads for path, heads in self.towers.items() if module.path.startswith(path)), Heads()
        )


@dataclass
class Loaded:
    """The parameters of one rank; `changes` are bytes beside those stored, by their reason."""

    parameters: list[Parameter] = field(default_factory=list)
    changes: Counter[str] = field(default_factory=Counter)

    @property
    def nbytes(self) -> int:
        """Bytes of all parameters."""
        return sum(one.nbytes for one in self.parameters)


def load_modules(modules: Iterable[Module], loader: Loader, cut: Cut, into: Loaded) -> None:
    """Add the parameters of these modules, which stand together, to what is loaded."""
    joined: dict[tuple[str, str], Joined] = {}
    for module in modules:
        if module.role == "lm_head" and loader.is_tied:
            into.changes["head that shares the embedding's table"] -= module.nbytes
            continue
        times = times_of_rank(module, cut)
        names = {**FUSED, **(LATENT_FUSED if loader.fuses_latent else {})}
        holder = names.get(module.role, module.path)
        for held in _held(module, loader, cut, into):
            key = (f"{module.tower}:{holder}", held.name)
            if held.name.startswith(_ORDERS) and key in joined and holder != module.path:
                into.changes["orders of inputs that parts share"] -= held.nbytes * times
            else:
                joined.setdefault(key, Joined(group_of(module))).add(held, times)
    into.parameters += [
        one.parameter(f"{holder}.{leaf}", loader.fp4_kernels)
        for (holder, leaf), one in joined.items()
        if one.nbytes
    ]


def group_of(module: Module) -> str:
    """The part of the model that a module belongs to, as a plan names it."""
    if module.tower != "text":
        return f"{module.tower} tower"
    return GROUPS.get(module.role) or part_of(module.role)


def _held(module: Module, loader: Loader, cut: Cut, into: Loaded) -> Iterator[Held]:
    """The tensors that a rank holds of a module, by the name of the leaf."""
    if mxfp4.is_mxfp4(module) and is_stack(module):
        yield from _mxfp4(module, loader, cut)
        return
    if loader.cuts_places and module.role == "position" and module.tower == "vision":
        module = module._replace(role="embedding")
    is_online = loader.online == "fp8" and _takes_fp8(module)
    is_marlin = loader.runs_fp8_as_marlin and _is_fp8(module)
    is_nvfp4 = nvfp4.is_nvfp4(module)
    for leaf in module.leaves:
        reason = _dropped(module, leaf, loader)
        if reason:
            into.changes[reason] -= leaf.nbytes * module.times
            continue
        shape = local_shape(module, leaf, loader.heads_of(module), cut, loader.hidden)
        if is_marlin and leaf.role == "quantization":
            continue  # made anew by the kernel
        if is_online and leaf.role != "quantization" and len(shape) > 1:
            yield from _online(module, leaf, prod(shape), shape, loader, into)
            continue
        bits = _bits(module, leaf, loader)
        _note(module, leaf, bits, prod(shape), into)
        nbytes = -(-prod(shape) * bits // 8)
        matrix = nvfp4.matrix_of(module, leaf, shape) if is_nvfp4 else None
        if loader.keeps_scales(module) and matrix is not None and matrix.part == nvfp4.SCALES:
            into.changes["scales once more, as the kernel reads them"] += leaf.nbytes * module.times
            yield Held(f"{leaf.name}_interleaved", nbytes, matrix=matrix)
            matrix = None
        yield Held(leaf.name, nbytes, matrix=matrix)
        if leaf.name.startswith(_ORDERS) and loader.drops_zeros:  # Marlin sorts by it
            into.changes["indices that Marlin sorts by"] += leaf.nbytes * module.times
            yield Held(f"{leaf.name}_sort_indices", nbytes)
        if is_marlin and len(shape) > 1:
            yield from _marlin_fp8(module, shape, loader, into)


def _note(module: Module, leaf: Leaf, bits: int, held: int, into: Loaded) -> None:
    """Note what a tensor takes more or less than it is stored in; `held` is its elements here."""
    stored = (DTYPES[leaf.dtype].bits or 8) if leaf.dtype in DTYPES else 8
    if bits != stored:
        said = f"{leaf.dtype} held in {bits} bits"
        into.changes[said] += module.times * leaf.numel * (bits - stored) // 8
    if module.role in TABLES and held > leaf.numel:
        into.changes["vocabulary padded"] += (held - leaf.numel) * bits // 8


def _dropped(module: Module, leaf: Leaf, loader: Loader) -> str:
    """Why an engine does not hold a tensor; empty where it does."""
    name = leaf.name.rpartition(".")[2].lower()
    if leaf.role in ("buffer", "rope"):
        return "buffers that the engine computes"
    if leaf.role == "quantization":
        if name == "bias":
            return "biases that a quantizer added"
        if "quant_state" in leaf.name or ("nested" in name and loader.unpacks_books):
            return "bitsandbytes' state, unpacked on loading"
        is_gptq = any(one.name == "g_idx" for one in module.leaves)
        if name == "qzeros" and is_gptq and loader.drops_zeros:
            return "zero points of symmetric GPTQ"
        if name in _ORDERS and loader.drops_order:
            return "group indices in storage order"
    return ""


def _bits(module: Module, leaf: Leaf, loader: Loader) -> int:
    """Bits of an element as the engine holds it."""
    stored = (DTYPES[leaf.dtype].bits or 8) if leaf.dtype in DTYPES else 8
    name = leaf.name.rpartition(".")[2].lower()
    if leaf.role == "quantization":
        if name == "absmax":
            return 32 if loader.unpacks_books else stored
        weight = next((one.dtype for one in module.leaves if one.role != "quantization"), "")
        is_scale = leaf.dtype in _FLOATS and "scale" in name
        return 32 if is_scale and weight.startswith(_EIGHT_BITS) else stored
    if leaf.dtype not in _FLOATS:
        return stored
    if leaf.role == "router_bias" or name in _WIDE:
        return 32
    return loader.width * 8


def _is_fp8(module: Module) -> bool:
    return any(leaf.dtype.startswith("F8_E4") and len(leaf.shape) > 1 for leaf in module.leaves)


def _marlin_fp8(
    module: Module, shape: tuple[int, ...], loader: Loader, into: Loaded
) -> Iterator[Held]:
    """What Marlin keeps beside an FP8 weight: scales of each channel, or channel and group.

    vLLM's prepare_fp8_layer_for_marlin, on cards that can't compute in FP8.
    """
    books = [leaf for leaf in module.leaves if leaf.role == "quantization"]
    into.changes["scales as Marlin keeps them"] -= module.times * sum(b.nbytes for b in books)
    is_blocked = any(min(book.shape, default=1) > 1 for book in books)
    groups = -(-shape[-1] // FP8_BLOCK) if is_blocked else 1
    scales = prod(shape[:-1]) * groups * loader.width
    workspace = _workspace(shape[-2], loader)
    into.changes["scales as Marlin keeps them"] += module.times * (scales + workspace)
    yield Held("weight_scale", scales)
    yield Held("workspace", workspace)


def _workspace(out: int, loader: Loader) -> int:
    """Marlin's counters: 16 for 64 outputs until 0.6, later one for each multiprocessor."""
    return out // 64 * 16 * 4 if loader.has_wide_workspace else 4 * MULTIPROCESSORS


def _takes_fp8(module: Module) -> bool:
    return module.role in ONLINE and module.tower == "text" and not module.is_packed


def _online(
    module: Module,
    leaf: Leaf,
    numel: int,
    shape: tuple[int, ...],
    loader: Loader,
    into: Loaded,
) -> Iterator[Held]:
    """A weight that is quantized to FP8 as it is loaded; scales, and Marlin's workspace.

    Cards below 8.9 run FP8 through Marlin: a scale a channel and 16 counters for 64 outputs.
    """
    into.changes["quantized to FP8 on loading"] -= module.times * leaf.numel * (loader.width - 1)
    yield Held(leaf.name, numel)
    if loader.runs_fp8_as_marlin:
        yield Held("weight_scale", shape[0] * loader.width)
        yield Held("workspace", _workspace(shape[0], loader))
    else:
        yield Held("weight_scale", 4)


def _mxfp4(module: Module, loader: Loader, cut: Cut) -> Iterator[Held]:
    """A stack of MXFP4 experts as its kernel pads it."""
    sizes = out_and_in(module, loader.hidden)
    assert sizes is not None  # a stack has a shape
    out, into_width = sizes
    side = "down" if module.role == "expert.down" else "gate_up"
    inter, hidden = (into_width, out) if side == "down" else (out // 2, into_width)
    whole = module.shape[0] if module.shape else 1
    local = mxfp4.Sizes(experts_of_rank(whole, cut), -(-inter // cut.moe_tp), hidden)
    held, plain = (mxfp4.nbytes(local, side, backend) for backend in (loader.backend, "none"))
    others = [mxfp4.nbytes(local, side, backend) for backend in ("marlin", "triton", "flashinfer")]
    parts = ["values", "scales"]
    parts += ["bias"] if any(leaf.name.endswith("bias") for leaf in module.leaves) else []
    for name in parts:
        most = max(other[name] for other in others) - plain[name]
        yield Held(f"{side}.{name}", held[name], held[name] - plain[name], most)


def tower_blocks(inventory: Inventory) -> list[list[Module]]:
    """Modules outside the main stack in the order they are made: towers block by block."""
    runs: dict[tuple[bool, str, int], list[Module]] = {}
    for module in inventory.outside:
        head, star, _ = module.path.partition("*")
        is_run = bool(star) and module.times > 1 and not is_routed(module)
        key = (module.tower == "text", head if is_run else "", module.times if is_run else 1)
        runs.setdefault(key, []).append(module)
    blocks: list[list[Module]] = []
    for (_, head, times), modules in runs.items():
        single = [module._replace(times=1) for module in modules] if head else modules
        blocks += [single] * (times if head else 1)
    return blocks
