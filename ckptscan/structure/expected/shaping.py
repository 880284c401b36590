"""Every part of a checkpoint against the shape that its config's figures give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptscan.names import IndexSet
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.parts import Part, Piece
from ckptscan.structure.expected.shapes import Place, Rule, rule_of
from ckptscan.structure.expected.stacks import Stack, is_causal
from ckptscan.structure.expected.values import SHAPE, TENSORS, Broken
from ckptscan.structure.scene import tower_of

if TYPE_CHECKING:
    from ckptscan.structure import Node, Structure

_BORNE_OUT = 0.8  # of the tensors with a firm formula that must fit, for the others to be wrong


class Shaping:
    """Collects which tensors have the shape that a formula gives, and which have another."""

    def __init__(self, structure: Structure) -> None:
        self._turned = frozenset(_turned(structure.tree))
        self._fit: dict[int, int] = {}  # part -> tensors that fit
        self._parts: dict[int, Part] = {}
        self._firm: dict[str, list[tuple[Part, Piece, Rule, bool]]] = {}
        self._sure: dict[str, bool] = {}
        self.tensors = 0
        self.nbytes = 0

    def add_layers(self, stack: Stack, parts: Mapping[str, Part], figures: Figures) -> None:
        """The parts of a stack of layers."""
        self._sure[stack.container] = stack.tower == "text" and is_causal(stack.config)
        for part in parts.values():
            self._add(part, figures, stack.container, is_in_layer=True)
        self._add_books(list(parts.values()))

    def add_rest(self, parts: Sequence[Part], by_tower: Mapping[str, Figures]) -> None:
        """All that stands in no stack, each by the figures of its tower."""
        rest = [part for part in parts if id(part) not in self._parts]
        for part in rest:
            self._add(part, by_tower[tower_of(part.shown)], "", is_in_layer=False)
        self._sure[""] = any(self._sure.values())
        self._add_books(rest)

    def _add(self, part: Part, figures: Figures, container: str, *, is_in_layer: bool) -> None:
        self._parts[id(part)] = part
        is_bias = part.leaf == "bias" or part.leaf.endswith("_bias")
        is_turned = part.shown.rpartition(".")[0] in self._turned
        for piece in part.pieces:
            if piece.shape is None:
                continue
            place = Place(
                piece.end.role.name, part.module, part.shown, is_bias, is_turned, piece.shape,
                is_in_layer,
            )  # fmt: skip
            rule = rule_of(place, figures)
            fits = any(template.fits(piece.shape) for template in rule.templates)
            if fits:
                self._count(part, piece)
            if rule.is_firm and rule.templates:
                self._firm.setdefault(container, []).append((part, piece, rule, fits))

    def _count(self, part: Part, piece: Piece) -> None:
        self._fit[id(part)] = self._fit.get(id(part), 0) + piece.family.count
        self.tensors += piece.family.count
        self.nbytes += piece.family.nbytes

    def _add_books(self, parts: Sequence[Part]) -> None:
        """Scales and the like of a weight whose logical shape fits: its packing gives theirs."""
        modules = {_stem(part.shown) for part in parts if self.is_shaped(part)}
        for part in parts:
            if part.role == "quantization" and not self.is_shaped(part) and _owner(part, modules):
                for piece in part.pieces:
                    self._count(part, piece)

    def is_shaped(self, part: Part) -> bool:
        """Whether all tensors of a part have the shape that a formula gives."""
        return self._fit.get(id(part), 0) == part.tensors

    def broken(self) -> Iterator[Broken]:
        """The tensors that have another shape than the one that the figures settle."""
        for container, found in self._firm.items():
            right = sum(piece.family.count for _, piece, _, fits in found if fits)
            whole = sum(piece.family.count for _, piece, _, _ in found)
            is_sure = self._sure.get(container, False) and right >= _BORNE_OUT * whole
            for part, piece, rule, fits in found:
                if not fits:
                    yield _broken(container, part, piece, rule, is_sure)


def _broken(container: str, part: Part, piece: Piece, rule: Rule, is_sure: bool) -> Broken:
    template = rule.templates[0]
    axes: tuple[IndexSet, ...] = piece.family.axes
    return Broken(
        SHAPE, TENSORS, container, part.role, part.pattern, axes, piece.family.count,
        template.words(), _shape(template.shape), _shape(piece.shape or ()), is_sure,
    )  # fmt: skip


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join(map(str, shape))})"


def _stem(shown: str) -> str:
    """The module that a weight belongs to: `mlp.up_proj`, of a stack `experts.down_proj`."""
    path, _, leaf = shown.rpartition(".")
    if leaf in ("weight", "qweight", "weight_packed"):
        return path
    return shown.removesuffix("_blocks").removesuffix("_packed")


def _owner(part: Part, modules: set[str]) -> bool:
    name = part.shown
    while name:
        if name in modules or name.rpartition("_")[0] in modules:
            return True
        name = name.rpartition(".")[0]
    return False


def _turned(tree: Node) -> Iterator[str]:
    """The modules whose weight is stored in x out: GPT-2's Conv1D."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node.kind is not None and node.kind.name == "Conv1D":
            yield node.path
        waiting += node.children
