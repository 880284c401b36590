"""The tree annotated: what class each module is, what each tensor is for, what it counts.

Works on the nodes of the tree, where the tensors of one module stand together, however many layers
they are repeated over and in whichever files they lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.names import IndexSet
from ckptscan.structure.classes import Around, ModuleClass, classify
from ckptscan.structure.families import Family
from ckptscan.structure.parts import joined_shapes
from ckptscan.structure.quantized import elements, quantized_class, unpacked_name
from ckptscan.structure.roles import Role, Surroundings, roles_of
from ckptscan.structure.scene import Scene
from ckptscan.structure.tree import End, Node

if TYPE_CHECKING:
    from ckptscan.structure.packing import Packing

Shape = tuple[int, ...]

# a module whose tensors all have one of these holds no packed weight
_PLAIN = frozenset({"F64", "F32", "F16", "BF16"})
_TENSOR_NAMES = frozenset({"weight", "bias", "parametrizations"})
NO_PARAMETERS = frozenset({"buffer", "rope", "lora.alpha", "quantization"})
BESIDE_PACKED = Role("quantization", "beside a packed weight")
# instances of one module whose peeked values are compared
_COMPARED = 100_000


class Packed(NamedTuple):
    """Packed weights of one module: their family, how often they stand, how they are packed.

    `numel` are the logical elements of one weight, None where headers do not tell; `nbytes` is what
    one takes with its book-keeping.
    """

    family: Family
    times: int
    numel: int | None
    nbytes: int
    packing: Packing


class _Others(Mapping[str, Mapping[str, Shape]]):
    """The modules of a parent without one of them."""

    def __init__(self, everyone: Mapping[str, Mapping[str, Shape]], own: str) -> None:
        self._everyone = everyone
        self._own = own

    def __getitem__(self, name: str) -> Mapping[str, Shape]:
        if name == self._own:
            raise KeyError(name)
        return self._everyone[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._everyone if name != self._own)

    def __len__(self) -> int:
        return len(self._everyone) - (self._own in self._everyone)


class _Place(NamedTuple):
    """Where a node stands: its segments, with `*` for indices, and the indices of its runs."""

    scene: Scene
    path: tuple[str, ...] = ()
    pieces: tuple[str | IndexSet, ...] = ()

    def below(self, node: Node) -> _Place:
        """The place of a child."""
        segment = "*" if node.label == f"({node.repeat})" else node.label
        piece = node.repeat if segment == "*" and node.repeat is not None else node.label
        scene = self.scene.within(node) if node.repeat is not None else self.scene
        return _Place(scene, (*self.path, segment), (*self.pieces, piece))

    def names(self) -> Iterator[str]:
        """The names of all instances of the node, the first ones first."""
        choices = [
            [piece] if isinstance(piece, str) else [f"{index:0{piece.width}d}" for index in piece]
            for piece in self.pieces
        ]
        return map(".".join, product(*choices))


class _Module(NamedTuple):
    """The tensors of one module by their names within it, and its weights unpacked."""

    tensors: Mapping[str, Node]
    packings: Mapping[str, Packing]
    auxiliary: frozenset[str]
    shapes: Mapping[str, Shape]

    @property
    def with_unknown(self) -> dict[str, Shape]:
        """The shapes, () for a packed weight whose own is not known."""
        hidden = [one for one in self.packings.values() if one.shape is None]
        return {**self.shapes, **{unpacked_name(one.weight, one): () for one in hidden}}


class _Beside(NamedTuple):
    """The modules in the same parent, and the parent's own tensors."""

    siblings: Mapping[str, Mapping[str, Shape]] = {}
    owner: Mapping[str, Shape] = {}


class Annotator:
    """Walks trees; `packed` and `problems` are what it finds on the way.

    `peeked` are values read from tensors, by name. `agreed` are the bits and group that all other
    packed weights of a scheme have, for those that do not tell their own.
    """

    def __init__(self) -> None:
        self.peeked: Mapping[str, object] = {}
        self.packed: list[Packed] = []
        self.problems: list[str] = []
        self.agreed: dict[str, tuple[int, int]] = {}

    def annotate(self, root: Node, scene: Scene) -> Node:
        """The tree with classes, roles and counts.

        Walks it twice where some packed weights are told by the others.
        """
        place = _Place(scene.within(root))
        before = len(self.packed), len(self.problems)
        found = self._node(root, place, self._module(root, place), _Beside())
        new = self.packed[before[0] :]
        if not any(one.numel is None for one in new):
            return found
        self.agreed = _agreed(new)
        if self.agreed:
            del self.packed[before[0] :], self.problems[before[1] :]
            found = self._node(root, place, self._module(root, place), _Beside())
            self.agreed = {}
        return found

    def _node(
        self,
        node: Node,
        place: _Place,
        module: _Module,
        beside: _Beside,
    ) -> Node:
        tensors = {id(one) for one in module.tensors.values()}
        inner = [child for child in node.children if not _is_tensor(child)]
        # by identity: a segment may be called `(0-1)`, as a run of two is labelled
        places = {id(child): place.below(child) for child in inner}
        modules = {id(child): self._module(child, places[id(child)]) for child in inner}
        shapes = {child.label: modules[id(child)].shapes for child in inner}
        ends, kind = self._own(module, place, beside) if tensors else ({}, None)
        children = [
            self._node(
                child,
                places[id(child)],
                modules[id(child)],
                _Beside(_Others(shapes, child.label), module.shapes),
            )
            if id(child) in modules
            else _with_ends(child, ends)
            for child in node.children
        ]
        return node.holding(children, kind=kind)

    def _module(self, node: Node, place: _Place) -> _Module:
        """The tensors that belong to a node itself, and what its weights are unpacked."""
        tensors = _by_name(node)
        if not tensors:
            return _Module({}, {}, frozenset(), {})
        kinds = {name: tensor.ends[0].family.kind for name, tensor in tensors.items()}
        if all(kind.dtype.name in _PLAIN for kind in kinds.values()):
            shapes = {name: kind.shape for name, kind in kinds.items()}
            return _Module(tensors, {}, frozenset(), shapes)
        found = self._packings(place, tensors)
        packings = {one.weight: one for one in found}
        auxiliary = frozenset(name for one in found for name in one.auxiliary)
        shapes = {}
        for name, kind in kinds.items():
            packing = packings.get(name)
            shape = packing.shape if packing else kind.shape
            if name not in auxiliary and shape is not None:
                shapes[unpacked_name(name, packing)] = shape
        return _Module(tensors, packings, auxiliary, shapes)

    def _packings(self, place: _Place, tensors: Mapping[str, Node]) -> tuple[Packing, ...]:
        """The packed weights of a module."""
        from ckptscan.structure.packing import unpack

        kinds = {name: tensor.ends[0].family.kind for name, tensor in tensors.items()}
        role = roles_of(place.path, {"weight": ()})["weight"].name
        hints = place.scene.hints(next(place.names()), role)
        hints = hints._replace(peeked=self._peeked(place, tensors))
        found = unpack(kinds, hints)
        if any(one.numel is None and one.scheme in self.agreed for one in found):
            bits, group = next(
                self.agreed[one.scheme]
                for one in found
                if one.numel is None and one.scheme in self.agreed
            )
            again = unpack(kinds, hints._replace(bits=bits, group=group))
            return tuple(one._replace(label="inferred", numel_label="inferred") for one in again)
        return found

    def _peeked(self, place: _Place, tensors: Mapping[str, Node]) -> dict[str, object]:
        """What was read of a module's tensors, where all its instances say the same."""
        from ckptscan.structure.packing.values import stated_shape

        values: dict[str, object] = {}
        for name in tensors if self.peeked else ():
            names = islice(place.names(), _COMPARED)
            said = [self.peeked.get(f"{module}.{name}" if module else name) for module in names]
            if said[0] is None:
                continue
            path = ".".join((*place.path, name))
            if any(value != said[0] for value in said):
                self.problems.append(f"{path}: layers of equal packed shape say different shapes")
            elif stated_shape(said[0]) is None:
                self.problems.append(f"{path}: its bytes tell no shape")
            else:
                values[name] = said[0]
        return values

    def _own(
        self, module: _Module, place: _Place, beside: _Beside
    ) -> tuple[dict[int, list[End]], ModuleClass | None]:
        """The ends of a module's own tensors, by the node they stand at, and its class."""
        scene = place.scene
        around = Surroundings(
            scene.hidden,
            scene.experts,
            beside.siblings,
            scene.vocabulary,
            scene.config.model_type,
            beside.owner,
        )
        roles = roles_of(place.path, module.with_unknown, around)
        joined = joined_shapes(module.shapes, roles, _copies(module.tensors), scene.hidden)
        ends = {}
        for name, tensor in module.tensors.items():
            packing = module.packings.get(name)
            own = unpacked_name(name, packing)
            role = BESIDE_PACKED if name in module.auxiliary else roles.get(own, Role("other", ""))
            ends[id(tensor)] = [
                _end(one, role, joined.get(own) if one is tensor.ends[0] else None, packing)
                for one in tensor.ends
            ]
        for packing in module.packings.values():
            self._note(module, place, packing)
        return ends, self._class(module, place, joined, beside)

    def _note(self, module: _Module, place: _Place, packing: Packing) -> None:
        """Keep a packed weight, and what contradicts it."""
        ends = [module.tensors[name].ends[0] for name in (packing.weight, *packing.auxiliary)]
        path = ".".join(place.path)
        times = ends[0].instances
        nbytes = sum(end.nbytes for end in ends) // max(1, times)
        self.packed.append(Packed(ends[0].family, times, elements(packing), nbytes, packing))
        self.problems += [f"{path}: {problem}" for problem in packing.problems]

    def _class(
        self,
        module: _Module,
        place: _Place,
        shapes: Mapping[str, Shape],
        beside: _Beside,
    ) -> ModuleClass | None:
        around = Around(beside.siblings, place.scene.norm)
        plain = classify(place.path, shapes, around) if shapes else None
        packing = next(iter(module.packings.values()), None)
        if packing is None or (not packing.auxiliary and plain is not None):
            return plain
        return quantized_class(packing, plain)


def _agreed(packed: Sequence[Packed]) -> dict[str, tuple[int, int]]:
    """Bits and group of each scheme in which all weights that tell them agree."""
    said: dict[str, set[tuple[int, int]]] = {}
    for one in packed:
        bits, group = one.packing.bits, one.packing.group
        if one.numel is not None and bits is not None and isinstance(group, int):
            said.setdefault(one.packing.scheme, set()).add((bits, group))
    return {scheme: next(iter(pairs)) for scheme, pairs in said.items() if len(pairs) == 1}


def _by_name(node: Node) -> dict[str, Node]:
    """The tensors of a module itself by name; of those with one name the later is primed."""
    found: dict[str, Node] = {}
    for name, tensor in _tensors(node, ""):
        while name in found:
            name = f"{name}'"
        found[name] = tensor
    return found


def _tensors(node: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    """The tensors of a module itself, by their names within it: `weight`, `weight.absmax`."""
    for child in node.children:
        if prefix or _is_tensor(child):
            name = f"{prefix}{child.label}"
            if child.ends:
                yield name, child
            yield from _tensors(child, f"{name}.")


def _is_tensor(node: Node) -> bool:
    """Whether a node is a tensor, or what belongs to one, rather than a module."""
    return bool(node.ends) or node.label in _TENSOR_NAMES


def _copies(tensors: Mapping[str, Node]) -> int:
    return max(tensor.ends[0].family.copies for tensor in tensors.values())


def _end(end: End, role: Role, shape: Shape | None, packing: Packing | None) -> End:
    """An end with its meaning; where the shape is not given it is the stored one."""
    if role.name in NO_PARAMETERS:
        return end._replace(role=role, shape=shape or end.family.shape, each=0)
    if packing is not None:
        return end._replace(role=role, shape=shape, each=elements(packing))
    shape = end.family.shape if shape is None else shape
    each = prod(shape) if end.family.kind.numel else 0
    return end._replace(role=role, shape=shape, each=each)


def _with_ends(node: Node, ends: Mapping[int, Sequence[End]]) -> Node:
    """A tensor's node with its ends annotated, and those below it."""
    children = [_with_ends(child, ends) for child in node.children]
    return node.holding(children, ends.get(id(node), node.ends))
