"""Modules with packed weights or their books, each kind with its indices; judges nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.checks.evidence.judged import BOOKS, leaf_of
from ckptscan.checks.evidence.siblings import Outer
from ckptscan.structure import End, Node, Structure
from ckptscan.structure.scene import Scene

if TYPE_CHECKING:
    from ckptscan.structure.packing import Packing

_PLAIN = frozenset({"F64", "F32", "F16", "BF16"})
_TENSORS = frozenset({"weight", "bias", "parametrizations"})
# the leaf that holds a packed weight; stacks put the name of the weight before `_blocks`
WEIGHTS = (
    "weight",
    "qweight",
    "weight_packed",
    "W_q",
    "codes",
    "weight_qdata",
    "_weight_qdata",
    "weight._data",
    "weight._data._data",
    "dense_weights",
    "dqweight",
    "indices",
    "B",
)
STACKED = ("_blocks", "_packed", "_qdata", "_qweight")
_MANY = 1 << 16  # parts of one module that are looked at; a hostile file may have more


class Module(NamedTuple):
    """One module, alike at all `axes`: its tensors by name, how its weights are packed."""

    path: str
    axes: Outer
    leaves: Mapping[str, End]
    packings: tuple[Packing, ...]

    @property
    def instances(self) -> int:
        """How often it stands."""
        return prod(map(len, self.axes))

    @property
    def weight(self) -> str | None:
        """The leaf that holds the weight, None where there is none, or several."""
        return next((name for name in WEIGHTS if name in self.leaves), None)


def packed_modules(structure: Structure) -> list[Module]:
    """All modules that hold a packed weight or the books of one."""
    if all(family.dtype.name in _PLAIN for family in structure.families) and not any(
        leaf_of(family.pattern) in BOOKS for family in structure.families
    ):
        return []
    found: list[Module] = []
    waiting: list[tuple[Node, Outer]] = [(structure.tree, ())]
    scene = Scene(structure.checkpoint.config)
    while waiting:
        node, axes = waiting.pop()
        leaves = dict(_leaves(node))
        if leaves and _is_packed(leaves):
            found.append(Module(node.path, axes, leaves, _unpacked(scene, node, leaves)))
        waiting += [
            (child, axes if child.repeat is None else (*axes, child.repeat))
            for child in reversed(node.children)
            if not _is_tensor(child)
        ]
    return found


def _is_tensor(node: Node) -> bool:
    return bool(node.ends) or node.label in _TENSORS


def _leaves(node: Node) -> Iterator[tuple[str, End]]:
    waiting = [(child, child.label) for child in node.children if _is_tensor(child)]
    while waiting:
        child, name = waiting.pop()
        if child.ends:
            yield name, child.ends[0]
        if len(waiting) < _MANY:
            waiting += [(inner, f"{name}.{inner.label}") for inner in child.children]


def _is_packed(leaves: Mapping[str, End]) -> bool:
    return any(
        end.family.dtype.name not in _PLAIN
        or leaf_of(name) in BOOKS
        or end.role.name == "quantization"
        for name, end in leaves.items()
    )


def _unpacked(scene: Scene, node: Node, leaves: Mapping[str, End]) -> tuple[Packing, ...]:
    from ckptscan.structure.packing import unpack

    kinds = {name: end.family.kind for name, end in leaves.items()}
    return unpack(kinds, scene.hints(node.path, "other"))


def packed_ones(structure: Structure) -> dict[str, list[Module]]:
    """The modules by path: the same module in all layers and experts."""
    found: dict[str, list[Module]] = {}
    for module in packed_modules(structure):
        found.setdefault(module.path, []).append(module)
    return found
