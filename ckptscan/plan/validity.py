"""Which tensor-parallel sizes divide a model, and what stands in the way of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.plan import mxfp4
from ckptscan.plan.inventory import Inventory, Leaf, Module
from ckptscan.plan.sharding import (
    WHOLE_LEAVES,
    Cut,
    Heads,
    dimension_kinds,
    is_cut_in,
    is_cut_out,
    local_out,
    out_and_in,
)
from ckptscan.structure import Attention

LARGEST = 64
MARLIN_K, MARLIN_N = 128, 64  # vLLM marlin_utils: GPTQ_MARLIN_MIN_THREAD_K and _N
_BLOCK = 128  # block FP8 as DeepSeek and Qwen store it


def candidates(attention: Sequence[Attention], tp: int) -> list[int]:
    """The sizes worth a look: powers of two, divisors of the heads, and the one asked for."""
    heads = max((one.heads or 1 for one in attention if not one.is_mtp), default=1)
    sizes = {1 << power for power in range(LARGEST.bit_length())}
    sizes |= {size for size in range(1, min(heads, LARGEST) + 1) if heads % size == 0}
    return sorted({*(size for size in sizes if size <= max(LARGEST, tp)), tp})


def refused(
    inventory: Inventory,
    attention: Sequence[Attention],
    cut: Cut,
    hidden: int | None,
    has_marlin: bool = True,
) -> str:
    """Why a cut does not work; empty where it does."""
    return next(_reasons(inventory, attention, cut, hidden, has_marlin), "")


def _reasons(
    inventory: Inventory,
    attention: Sequence[Attention],
    cut: Cut,
    hidden: int | None,
    has_marlin: bool,
) -> Iterator[str]:
    if cut.tp == 1 and cut.moe_tp == 1:
        return
    for one in attention:
        if not one.is_mtp and one.heads is not None:
            yield from _heads(one, cut.tp)
    seen: set[tuple[object, ...]] = set()
    for module, _ in inventory.everything():
        key = (module.role, module.tower, module.shape, tuple(leaf.shape for leaf in module.leaves))
        if key not in seen:
            seen.add(key)
            yield from _module(module, cut, hidden, has_marlin)


def _heads(one: Attention, tp: int) -> Iterator[str]:
    where = f" in {one.container}"
    if one.heads and one.heads % tp:
        yield f"{one.heads} heads{where} are not divisible by {tp}"
    if one.latent is None and one.kv_heads and one.kv_heads % tp and tp % one.kv_heads:
        yield f"{one.kv_heads} KV heads{where} neither divide {tp} nor are divisible by it"


def _module(module: Module, cut: Cut, hidden: int | None, has_marlin: bool) -> Iterator[str]:
    """What does not divide in one module."""
    sizes = out_and_in(module, hidden)
    tp = cut.ways(module)
    if sizes is None or tp == 1 or module.role in ("embedding", "lm_head", "k", "v", "kv", "qkv"):
        return
    out, into = sizes
    name = module.path.rpartition(".")[2]
    if module.role.endswith("gate_up"):
        out //= 2
    if is_cut_out(module) and out % tp:
        yield f"{out:,} outputs of {name} are not divisible by {tp}"
        return
    if is_cut_in(module) and into % tp:
        yield f"{into:,} inputs of {name} are not divisible by {tp}"
        return
    yield from _packed(module, cut, hidden, has_marlin, (out, into, tp))


def _packed(
    module: Module, cut: Cut, hidden: int | None, has_marlin: bool, sizes: tuple[int, int, int]
) -> Iterator[str]:
    """What does not divide in a quantized module: groups, blocks, a kernel's least width."""
    out, into, tp = sizes
    if mxfp4.is_mxfp4(module):
        return  # kernels pad what does not divide
    name = module.path.rpartition(".")[2]
    new_out = out // tp if is_cut_out(module) else local_out(module, out, Heads(), cut)
    new_in = into // tp if is_cut_in(module) else into
    for leaf in module.leaves:
        if leaf.role != "quantization" or leaf.name.endswith(("bias", *WHOLE_LEAVES)):
            continue
        for side, local, whole in (("output", new_out, out), ("input", new_in, into)):
            group = _group(module, leaf, side[0], whole, hidden)
            if group > 1 and local % group and local != whole:
                yield _against(local, f"{side}s", name, f"its group {group}")
    is_int4 = any(leaf.dtype in ("I32", "U32") for leaf in module.leaves) and module.is_packed
    if has_marlin and is_int4:
        if new_in % MARLIN_K and is_cut_in(module):
            yield _against(new_in, "inputs", name, f"min_thread_k = {MARLIN_K}")
        if new_out % MARLIN_N and is_cut_out(module):
            yield _against(new_out, "outputs", name, f"min_thread_n = {MARLIN_N}")


def _against(count: int, side: str, name: str, by: str) -> str:
    return f"{count:,} {side} of {name} on a rank are not divisible by {by}"


def _group(module: Module, leaf: Leaf, side: str, whole: int, hidden: int | None) -> int:
    """How many outputs or inputs share an entry of a tensor of scales; 1 where each has its own."""
    sizes = out_and_in(module, hidden)
    if sizes is None:
        return 1
    kinds = dimension_kinds(module, leaf, *sizes, hidden)
    place = kinds.find(side)
    if place < 0 or kinds == "*" or place >= len(leaf.shape):
        return 1
    count = leaf.shape[place]
    whole = sizes[0] if side == "o" else sizes[1]
    if count <= 1 or count >= whole:
        return 1
    return whole // count if whole % count == 0 else _BLOCK
