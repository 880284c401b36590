"""The tensors of one name in all layers: which layers hold it, in which shapes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from ckptscan.names import IndexSet, split_stars
from ckptscan.structure.tree import End
from ckptscan.structure.wrappers import unwrap

if TYPE_CHECKING:
    from ckptscan.structure import Family, Structure

_MOST_INNER = 64  # inner indices that are modules of their own
_MOST_TENSORS = 1 << 16


class Piece:
    """Tensors of one family: what they mean, and where below the layer they stand."""

    def __init__(self, family: Family, end: End) -> None:
        self.family = family
        self.end = end

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The logical shape of each, None where headers do not tell it."""
        return self.end.shape

    @cached_property
    def layers(self) -> frozenset[int]:
        """The layers that hold one; empty for what stands in none."""
        if self.family.instances is not None:
            return frozenset(self._by_layer)
        return frozenset(self.family.axes[0] if self.family.axes else ())

    @cached_property
    def _by_layer(self) -> Mapping[int, set[tuple[int, ...]]]:
        found: dict[int, set[tuple[int, ...]]] = {}
        for first, *rest in filter(None, self.family.instances or ()):
            found.setdefault(first, set()).add(tuple(rest))
        return found

    def inner(self, layer: int) -> Collection[tuple[int, ...]]:
        """The further indices that one layer holds: those of its experts, as a rule."""
        if self.family.instances is None:
            return frozenset(product(*self.family.axes[1:]))
        return self._by_layer.get(layer, ())


class Part:
    """All tensors of one name; `shown` is the name without wrappers, `pattern` as it is stored."""

    def __init__(self, shown: str, pieces: Sequence[Piece]) -> None:
        self.shown = shown
        self.pieces = tuple(pieces)

    @property
    def pattern(self) -> str:
        """The name as it is stored, with a star for each index."""
        return self.pieces[0].family.pattern

    @property
    def role(self) -> str:
        """What the tensors are for."""
        return self.pieces[0].end.role.name

    @cached_property
    def roles(self) -> frozenset[str]:
        """All that they are for: `ffn.0` and `ffn.2` have one name, and are up and down."""
        return frozenset(piece.end.role.name for piece in self.pieces)

    @property
    def leaf(self) -> str:
        """The last segment: `weight`, `bias`, or the tensor's own name."""
        return self.shown.rpartition(".")[2]

    @property
    def is_matrix(self) -> bool:
        """Whether these are weights of two dimensions or more."""
        return all(len(piece.shape or piece.family.shape) > 1 for piece in self.pieces)

    @property
    def module(self) -> str:
        """The last segment but `weight` or `bias`: the name that speaks for it."""
        segments = self.shown.split(".")
        plain = len(segments) > 1 and segments[-1] in ("weight", "bias", "qweight")
        return segments[-2] if plain else segments[-1]

    @cached_property
    def is_product(self) -> bool:
        """Whether each layer that holds the name holds the same further indices."""
        inner = {piece.family.axes[1:] for piece in self.pieces}
        return len(inner) == 1 and all(piece.family.instances is None for piece in self.pieces)

    @cached_property
    def layers(self) -> frozenset[int]:
        """The layers that hold one."""
        return frozenset().union(*(piece.layers for piece in self.pieces))

    @property
    def inner(self) -> tuple[IndexSet, ...]:
        """The further indices, all layers together."""
        stars = len(self.pieces[0].family.axes) - 1
        if stars < 1:
            return ()
        return tuple(
            IndexSet.of(index for piece in self.pieces for index in piece.family.axes[star + 1])
            for star in range(stars)
        )

    @property
    def each(self) -> int:
        """How many tensors a whole layer holds."""
        return prod(map(len, self.inner)) * self.pieces[0].family.copies

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return sum(piece.family.count for piece in self.pieces)

    @property
    def nbytes(self) -> int:
        """Their bytes, as stored."""
        return sum(piece.family.nbytes for piece in self.pieces)

    def held(self, layer: int) -> int:
        """How many tensors of the name one layer holds."""
        found = [piece for piece in self.pieces if layer in piece.layers]
        inner = frozenset().union(*(piece.inner(layer) for piece in found))
        return len(inner) * self.pieces[0].family.copies


def parts_of(structure: Structure) -> list[Part]:
    """The tensors of a checkpoint by name, in the order of the families."""
    shown, _ = unwrap(structure.families)
    named: dict[tuple[str, str, int], list[Piece]] = {}
    for family in structure.families:
        meaning = structure.meaning(family)
        if meaning is None:
            continue
        for own, name in _apart(family, ".".join(shown[family.component, family.pattern])):
            named.setdefault((name, own.pattern, len(own.axes)), []).append(Piece(own, meaning))
    return [Part(name, pieces) for (name, _, _), pieces in named.items()]


def _apart(family: Family, shown: str) -> Iterator[tuple[Family, str]]:
    """A family as it is, or one for each of few inner indices: T5's `layer.0` and `layer.1`.

    Experts are alike; what else has an index within a layer is a module of its own.
    """
    is_apart = len(family.axes) > 1 and "expert" not in shown and family.count <= _MOST_TENSORS
    inner = sorted({instance[1:] for instance in family.indices()}) if is_apart else []
    if not 0 < len(inner) <= _MOST_INNER:
        yield family, shown
        return
    for tail in inner:
        layers = [one[0] for one in family.indices() if one[1:] == tail]
        own = replace(
            family,
            pattern=_with(family.pattern, family, tail),
            axes=(IndexSet.of(layers, family.axes[0].width),),
            instances=None,
            rows=range(len(layers) * family.copies),
        )
        yield own, _with(shown, family, tail)


def _with(pattern: str, family: Family, tail: tuple[int, ...]) -> str:
    """A pattern with these indices in the place of its last stars."""
    pieces = split_stars(pattern)
    first = len(pieces) - 1 - len(tail)
    stars = [f"{index:0{axis.width}d}" for index, axis in zip(tail, family.axes[1:], strict=True)]
    written = ["*"] * first + stars
    return "".join(piece + star for piece, star in zip(pieces, [*written, ""], strict=True))


def below(parts: Sequence[Part], path: str) -> dict[str, Part]:
    """The parts of a stack of layers, by their names within a layer."""
    start = f"{path}."
    return {part.shown[len(start) :]: part for part in parts if part.shown.startswith(start)}


def block_of(part: Part) -> str:
    """The path of the block that a part's module stands in: `model.layers.*.mlp`."""
    path = part.shown.rpartition(".")[0]
    return path.rpartition(".")[0] if part.leaf in ("weight", "bias", "qweight") else path
