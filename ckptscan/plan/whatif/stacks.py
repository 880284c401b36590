"""MXFP4 experts as stacks: all of a layer in one tensor, as engines hold them."""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.plan.inventory import Leaf, Module
from ckptscan.plan.mxfp4 import BLOCK
from ckptscan.plan.sharding import is_stack, out_and_in

_PARTS = ("expert.gate", "expert.up", "expert.down")


def blocks(stem: str, role: str, sizes: tuple[int, int, int]) -> tuple[Leaf, ...]:
    """Values and scales of experts x outputs x inputs: kernels know them by these names."""
    experts, out, into = sizes
    count = -(-into // BLOCK)
    values = Leaf(f"{stem}_blocks", role, "U8", (experts, out, count, 16),
                  experts * out * count * 16)  # fmt: skip
    scales = (experts, out, count)
    return values, Leaf(f"{stem}_scales", "quantization", "U8", scales, experts * out * count)


def as_stacks(modules: Sequence[Module], hidden: int | None) -> tuple[Module, ...]:
    """The modules of a layer, experts that stand apart in MXFP4 joined: their kernel pads stacks.

    They stay apart where a row is no whole number of blocks, which no kernel takes.
    """
    apart = {module.role: module for module in modules if _is_apart(module)}
    sizes = {role: out_and_in(module, hidden) for role, module in apart.items()}
    gate, up, down = (sizes.get(role) for role in _PARTS)
    if gate is None or gate != up or down is None or gate[1] % BLOCK or down[1] % BLOCK:
        return tuple(modules)
    experts = apart["expert.down"].times
    if {module.times for module in apart.values()} != {experts}:
        return tuple(modules)
    joined = {
        "expert.gate_up": (experts, 2 * gate[0], gate[1]),
        "expert.down": (experts, *down),
    }
    path = apart["expert.down"].path.rpartition(".")[0]
    stacks = [
        Module(f"{path}.{role[7:]}_proj", role, shape, blocks(f"{role[7:]}_proj", role, shape))
        for role, shape in joined.items()
    ]
    return (*(module for module in modules if module.role not in apart), *stacks)


def _is_apart(module: Module) -> bool:
    """Whether it is one of many experts with an MXFP4 weight and nothing else of its own."""
    names = {leaf.name: leaf.dtype for leaf in module.leaves}
    is_mxfp4 = names == {"weight_packed": "U8", "weight_scale": "U8"}
    return module.role in _PARTS and module.times > 1 and is_mxfp4 and not is_stack(module)
