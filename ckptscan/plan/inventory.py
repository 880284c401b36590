"""Structure -> modules in the order in which an engine makes them: what one layer holds, and how.

An engine knows modules and their tensors, not names; this is the model as it sees it, before
anything is split. What drafts tokens is left out: engines load it for speculative decoding alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.structure import Node, Structure
from ckptscan.structure.scene import tower_of
from ckptscan.structure.tree import End

Shape = tuple[int, ...]

_TENSOR_NAMES = frozenset({"weight", "bias", "parametrizations"})
_MAX_DEPTH = 64
# roles in the order in which models make their modules
_ORDER = {
    role: place
    for place, role in enumerate(
        """
        embedding token_type position token patch
        q_a q_b q k v qkv kv kv_a kv_b linear_attention ssm conv rwkv rnn attention qk_norm sinks
        attention_gate o rope router router_bias shared_expert_router
        shared_expert.gate shared_expert.up shared_expert.gate_up shared_expert.down
        expert.gate expert.up expert.gate_up expert.down
        gate up gate_up down norm layer_scale
        """.split()
    )
}


class Leaf(NamedTuple):
    """One tensor of a module: its name there, what it is for, how it is stored."""

    name: str
    role: str
    dtype: str
    shape: Shape
    nbytes: int

    @property
    def numel(self) -> int:
        """Its elements."""
        return prod(self.shape)


class Module(NamedTuple):
    """A module of one layer, or of none: its tensors, and how often it stands there.

    `shape` is the logical shape of its weight, (out, in) or with the experts before; None where
    headers do not tell it. `times` counts experts with tensors of their own.
    """

    path: str
    role: str
    shape: Shape | None
    leaves: tuple[Leaf, ...]
    times: int = 1
    is_transposed: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all its tensors, as often as it stands."""
        return self.times * sum(leaf.nbytes for leaf in self.leaves)

    @property
    def tower(self) -> str:
        """text, vision or audio."""
        return tower_of(self.path)

    @property
    def is_packed(self) -> bool:
        """Whether its weight is stored in fewer bits than it is computed in."""
        return any(leaf.role == "quantization" for leaf in self.leaves) or any(
            leaf.dtype not in ("F64", "F32", "F16", "BF16") and leaf.role not in ("buffer", "rope")
            for leaf in self.leaves
        )


class LayerKind(NamedTuple):
    """Layers that are alike: their indices and the modules of each."""

    indices: IndexSet
    modules: tuple[Module, ...]


@dataclass(frozen=True)
class Inventory:
    """A model as an engine makes it: what stands before, in and after its layers.

    `outside` holds what lies in no layer of the main stack, towers included.
    """

    container: str
    kinds: tuple[LayerKind, ...]
    outside: tuple[Module, ...]

    @property
    def layers(self) -> int:
        """How many layers the main stack has."""
        return sum(len(kind.indices) for kind in self.kinds)

    @cached_property
    def kind_of(self) -> Mapping[int, int]:
        """The place of each layer's kind among the kinds."""
        return {index: place for place, kind in enumerate(self.kinds) for index in kind.indices}

    def modules_of(self, index: int) -> tuple[Module, ...]:
        """The modules of one layer."""
        place = self.kind_of.get(index)
        return () if place is None else self.kinds[place].modules

    def everything(self) -> Iterator[tuple[Module, int]]:
        """All modules with how often they stand in the whole model."""
        for kind in self.kinds:
            for module in kind.modules:
                yield module, module.times * len(kind.indices)
        for module in self.outside:
            yield module, module.times

    def of_role(self, *roles: str) -> list[Module]:
        """The modules of the language model that have one of these roles."""
        return [module for role in roles for module in self._by_role.get(role, ())]

    @cached_property
    def _by_role(self) -> Mapping[str, Sequence[Module]]:
        found: dict[str, list[Module]] = {}
        for module, _ in self.everything():
            if module.tower == "text":
                found.setdefault(module.role, []).append(module)
        return found


class _Found(NamedTuple):
    """A module with the runs that it lies in, outermost first."""

    module: Module
    within: tuple[tuple[str, IndexSet], ...]


def take_inventory(structure: Structure) -> Inventory:
    """The modules of a checkpoint's model."""
    container = main_container(structure)
    outside: list[Module] = []
    by_layers: dict[IndexSet, list[Module]] = {}
    for module, within in _modules(structure.main):
        if within and container and within[0][0] == f"{container}.*":
            times = prod(len(run) for _, run in within[1:])
            by_layers.setdefault(within[0][1], []).append(module._replace(times=times))
        else:
            times = prod(len(run) for _, run in within)
            outside.append(module._replace(times=times))
    kinds = [LayerKind(indices, _ordered(modules)) for indices, modules in by_layers.items()]
    kinds.sort(key=lambda kind: next(iter(kind.indices)))
    return Inventory(container, tuple(kinds), _ordered(outside))


def main_container(structure: Structure) -> str:
    """The stack of layers that generates: the largest of the language model, a decoder first."""
    best: dict[str, tuple[bool, int]] = {}
    for layers in structure.layers:
        is_inner = bool(layers.within) or not layers.container
        if is_inner or tower_of(layers.container) != "text":
            continue
        is_decoder = "encoder" not in layers.container.split(".")
        best[layers.container] = (is_decoder, layers.nbytes)
    return max(best, key=lambda name: best[name], default="")


def _ordered(modules: Sequence[Module]) -> tuple[Module, ...]:
    """Modules as models make them; those of one role in the order of their names."""

    def place(module: Module) -> tuple[bool, int]:
        return module.tower != "text", _ORDER.get(module.role, len(_ORDER))

    return tuple(sorted(modules, key=place))


def _modules(root: Node) -> Iterator[_Found]:
    """All modules below a node, in the order of the tree."""
    waiting: list[tuple[Node, tuple[tuple[str, IndexSet], ...]]] = [(root, ())]
    while waiting:
        node, within = waiting.pop()
        if node.repeat is not None:
            within = (*within, (node.path, node.repeat))
        tensors = [child for child in node.children if _is_tensor(child)]
        leaves = [pair for child in tensors for pair in _leaves(child, "", 0)]
        if node.ends and not _is_tensor(node):
            leaves += [pair for end in node.ends for pair in [(node.label, end)]]
        if leaves:
            transposed = node.kind is not None and node.kind.name == "Conv1D"
            for module in _split(node.path, leaves, is_transposed=transposed):
                yield _Found(module, within)
        inner = [child for child in node.children if not _is_tensor(child)]
        waiting += [(child, within) for child in reversed(inner)]


def _is_tensor(node: Node) -> bool:
    return bool(node.ends) or node.label in _TENSOR_NAMES


def _leaves(node: Node, prefix: str, depth: int) -> Iterator[tuple[str, End]]:
    name = f"{prefix}{node.label}"
    for end in node.ends:
        yield name, end
    for child in node.children if depth < _MAX_DEPTH else ():
        yield from _leaves(child, f"{name}.", depth + 1)


def _split(path: str, leaves: Sequence[tuple[str, End]], is_transposed: bool) -> Iterator[Module]:
    """The module of these tensors; one that owns several weights is one module for each role."""
    by_role: dict[str, list[tuple[str, End]]] = {}
    for name, end in leaves:
        if end.role.name != "quantization":
            by_role.setdefault(end.role.name, []).append((name, end))
    books = [(name, end) for name, end in leaves if end.role.name == "quantization"]
    if not by_role:
        by_role["quantization"] = []
    for role, own in by_role.items():
        kept = [
            book
            for book in books
            if len(by_role) == 1 or any(_belongs(book[0], name) for name, _ in own)
        ]
        shape = _weight_shape(own)
        made = tuple(_leaf(name, end) for name, end in (*own, *kept))
        yield Module(path, role, shape, made, 1, is_transposed)
    if len(by_role) > 1:
        placed = {
            b for own in by_role.values() for b, _ in books if any(_belongs(b, n) for n, _ in own)
        }
        rest = [(name, end) for name, end in books if name not in placed]
        if rest:
            made = tuple(_leaf(name, end) for name, end in rest)
            yield Module(path, "quantization", None, made)


def _belongs(book: str, weight: str) -> bool:
    """Whether the books stand for this weight: `gate_up_proj_scales`, `gate_up_proj_blocks`."""
    stem = weight.removesuffix("_blocks").removesuffix("_packed").removesuffix("_qweight")
    return book.startswith(stem)


def _weight_shape(own: Sequence[tuple[str, End]]) -> Shape | None:
    """The logical shape of the largest of a module's own tensors that is no bias."""
    named = [end for name, end in own if not name.endswith("bias")]
    known = [end.shape for end in (named or [end for _, end in own]) if end.shape is not None]
    return max(known, key=prod, default=None)


def _leaf(name: str, end: End) -> Leaf:
    kind = end.family.kind
    if end.family.copies > 1 and end.shape is not None and end.role.name != "quantization":
        bits = kind.dtype.bits or 0
        return Leaf(name, end.role.name, kind.dtype.name, end.shape, prod(end.shape) * bits // 8)
    return Leaf(name, end.role.name, kind.dtype.name, kind.shape, kind.nbytes)


def all_bytes(inventory: Inventory) -> Mapping[str, int]:
    """Stored bytes by role, over the whole model."""
    found: dict[str, int] = {}
    for module, times in inventory.everything():
        size = times * sum(leaf.nbytes for leaf in module.leaves)
        found[module.role] = found.get(module.role, 0) + size
    return found
