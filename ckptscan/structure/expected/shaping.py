"""Every part of a checkpoint against the shape that its config's figures give it.

A tensor that has another shape proves nothing by itself: there are more designs than rules. It is
told only where the rest of the model bears the figures out: the other layers of its kind have the
shape of the formula, or the tensor that it works with has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.late import Late
from ckptscan.names import IndexSet
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.kinds import Kinds, is_regular
from ckptscan.structure.expected.parts import Part, Piece, block_of
from ckptscan.structure.expected.shapes import rule_of
from ckptscan.structure.expected.templates import Place, Rule
from ckptscan.structure.expected.values import SHAPE, TENSORS, Broken
from ckptscan.structure.scene import tower_of

if TYPE_CHECKING:
    from ckptscan.structure import Node, Structure

_BORNE_OUT = 0.75  # of the names with a firm formula that must fit, for the others to be wrong
# roles that share a width: one that fits bears the figures of the other out
_TWINS: Mapping[str, str] = {
    "q": "o",
    "k": "v q",
    "v": "k o",
    "o": "q qkv",
    "qkv": "o",
    "q_a": "q_b",
    "q_b": "q_a o",
    "kv_a": "kv_b",
    "kv_b": "kv_a o",
    "gate": "up down",
    "up": "gate down",
    "gate_up": "down",
    "down": "gate up gate_up",
    "router": "router_bias expert.gate expert.up expert.down expert.gate_up",
    "router_bias": "router",
    "norm": "norm kv_a kv_b",
    "embedding": "lm_head norm",
    "lm_head": "embedding norm",
}
# parts of a layer that have widths of their own
_APART = Late(r"(?i)indexer|compressor|adapter|lora|altup|laurel|per_layer|hyper|engram|ada_")


class Firm(NamedTuple):
    """A tensor whose shape the figures settle, and whether it has that shape."""

    part: Part
    piece: Piece
    rule: Rule
    fits: bool

    @property
    def block(self) -> str:
        """The module that holds the tensor's own: tensors of one block work together."""
        return block_of(self.part)


class Shaping:
    """Collects which tensors have the shape that a formula gives, and which have another."""

    def __init__(self, structure: Structure) -> None:
        self._tree = structure.tree
        self._fit: dict[int, int] = {}  # part -> tensors that fit
        self._seen: set[int] = set()
        self.tensors = 0
        self.nbytes = 0

    def add(self, parts: Sequence[Part], figures: Figures, *, is_in_layer: bool) -> list[Firm]:
        """Some parts by the same figures; those whose shape is settled."""
        firm: list[Firm] = []
        is_turned = is_in_layer and turns(parts, self._tree)
        for part in parts:
            self._seen.add(id(part))
            firm += self._add(part, figures, is_in_layer, is_turned)
        self._add_books(parts)
        return firm

    def leave_out(self, parts: Sequence[Part]) -> None:
        """Parts of which the figures may not speak."""
        self._seen.update(map(id, parts))

    def add_rest(self, parts: Sequence[Part], by_tower: Mapping[str, Figures]) -> list[Firm]:
        """All that stands in no stack, each by the figures of its tower."""
        rest = [part for part in parts if id(part) not in self._seen]
        firm: list[Firm] = []
        for tower, figures in by_tower.items():
            own = [part for part in rest if tower_of(part.shown) == tower]
            found = self.add(own, figures, is_in_layer=False)
            firm += found if tower == "text" else []
        return firm

    def _add(
        self, part: Part, figures: Figures, is_in_layer: bool, is_turned: bool
    ) -> Iterator[Firm]:
        is_bias = part.leaf == "bias" or part.leaf.endswith("_bias")
        rules: list[tuple[Piece, Rule, list[bool]]] = []
        for piece in part.pieces:
            if piece.shape is None:
                continue
            place = Place(
                piece.end.role.name, part.module, part.shown, is_bias, is_turned, piece.shape,
                is_in_layer,
            )  # fmt: skip
            rule = rule_of(place, figures)
            rules.append((piece, rule, [one.fits(piece.shape) for one in rule.templates]))
        way = _way(rules)
        for piece, rule, fits in rules:
            does_fit = any(fits) if way is None else fits[way]
            if does_fit:
                self._count(part, piece)
            if rule.is_firm and rule.templates and not _APART.search(part.shown):
                yield Firm(part, piece, rule, does_fit)

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


def _way(rules: Sequence[tuple[Piece, Rule, list[bool]]]) -> int | None:
    """The template that most of a part's tensors fit: all must, as they are stored one way."""
    counts: dict[int, int] = {}
    for piece, rule, fits in rules:
        if not rule.is_firm or len(fits) != len(rules[0][2]) or len(fits) < 2:
            return None
        for number, does_fit in enumerate(fits):
            counts[number] = counts.get(number, 0) + (piece.family.count if does_fit else 0)
    return max(counts, key=lambda number: counts[number]) if counts else None


def misshaped(firm: Sequence[Firm], container: str, kinds: Kinds | None) -> Iterator[Broken]:
    """The tensors of one stack that have another shape than the one that is borne out.

    Without `kinds` these are tables beside the layers, which bear their width out.
    """
    parts = {id(one.part) for one in firm}
    right = {id(one.part) for one in firm if one.fits}
    if kinds is not None and len(right) < _BORNE_OUT * len(parts):
        return  # the config is of another model, or the rules do not know this one
    wrong = [one for one in firm if not one.fits]
    alike: dict[tuple[str, str, bool], set[int]] = {}
    for one in firm if wrong else ():
        key = one.block, one.part.role, one.part.leaf == "bias"
        alike.setdefault(key, set()).add(id(one.part))
    for one in wrong:
        if one.rule.is_assumed and not _is_turned(one):
            continue
        is_alone = len(alike[one.block, one.part.role, one.part.leaf == "bias"]) == 1
        if one.part.role != "norm" and not is_alone:
            continue  # two of one role in a block: one of them is something else
        if kinds is None or _is_odd(one, firm, kinds) or _has_twin(one, firm):
            yield _broken(container, one)


def _is_turned(one: Firm) -> bool:
    """Whether a tensor has the formula's lengths in another order."""
    return sorted(one.piece.shape or ()) == sorted(one.rule.templates[0].shape)


def _is_odd(one: Firm, firm: Sequence[Firm], kinds: Kinds) -> bool:
    """Whether most layers have the formula's shape, and no order tells these from them."""
    same = [other for other in firm if other.part is one.part and other.fits]
    fit = frozenset().union(*(other.piece.layers for other in same))
    own = one.piece.layers - fit
    if not own or len(fit) <= len(own):
        return False
    among = fit | own
    return not kinds.explains(own, among) and not is_regular(own, among)


def _has_twin(one: Firm, firm: Sequence[Firm]) -> bool:
    """Whether all of a part has another shape, and what it works with has the formula's."""
    if any(other.fits for other in firm if other.part is one.part):
        return False
    wanted = _TWINS.get(one.part.role, "").split()
    twins: dict[int, list[bool]] = {}
    for other in firm:
        is_near = other.block == one.block or one.part.role in ("router", "embedding", "lm_head")
        is_bias = other.part.leaf == "bias"
        is_own_bias = is_bias and other.part.shown.rpartition(".")[0] == _module_path(one.part)
        is_other = other.part is not one.part and other.part.role in wanted and not is_bias
        if is_own_bias and _is_longer(one, other):
            return True
        if is_near and is_other and one.piece.layers <= other.part.layers:
            twins.setdefault(id(other.part), []).append(other.fits)
    return bool(twins) and all(map(all, twins.values()))


def _is_longer(one: Firm, bias: Firm) -> bool:
    """Whether a bias has the formula's length, and the rows of its weight have not."""
    expected, seen = one.rule.templates[0].shape, one.piece.shape or ()
    length = (bias.piece.shape or (0,))[0]
    is_weight = one.part.leaf != "bias" and len(seen) == len(expected) == 2
    return bias.fits and is_weight and expected[0] == length != seen[0]


def _module_path(part: Part) -> str:
    return part.shown.rpartition(".")[0]


def _broken(container: str, one: Firm) -> Broken:
    template = one.rule.templates[0]
    axes: tuple[IndexSet, ...] = one.piece.family.axes
    return Broken(
        SHAPE, TENSORS, container, one.part.role, one.part.pattern, axes, one.piece.family.count,
        template.words(), _shape(template.shape), _shape(one.piece.shape or ()), is_grave=True,
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


def turns(parts: Sequence[Part], tree: Node) -> bool:
    """Whether most matrices of a stack are stored (in, out), as GPT-2's Conv1D are."""
    turned = frozenset(_turned(tree))
    matrices = [
        part.shown.rpartition(".")[0]
        for part in parts
        if part.roles <= _MATRICES and all(_is_oblong(piece.shape) for piece in part.pieces)
    ]
    return 2 * sum(module in turned for module in matrices) > len(matrices)


_MATRICES = frozenset("q k v o qkv gate up down gate_up expert.gate expert.up expert.down".split())


def _is_oblong(shape: tuple[int, ...] | None) -> bool:
    """Whether a matrix shows which way it lies; of square ones the class is a guess."""
    return shape is not None and len(shape) == 2 and shape[0] != shape[1]


def _turned(tree: Node) -> Iterator[str]:
    """The modules whose weight is stored in x out: GPT-2's Conv1D."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if node.kind is not None and node.kind.name == "Conv1D":
            yield node.path
        waiting += node.children
