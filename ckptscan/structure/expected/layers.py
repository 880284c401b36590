"""One stack of layers against what its config promises: layers, experts, modules of each kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import prod
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.kinds import Kinds, is_by_design, is_regular
from ckptscan.structure.expected.parts import Part, block_of
from ckptscan.structure.expected.stacks import Stack
from ckptscan.structure.expected.values import (
    BEYOND,
    EXPERTS,
    LAYERS,
    MISSING,
    PROJECTIONS,
    TENSORS,
    Broken,
)

_MOST_LAYERS = 10_000
_MIN_LAYERS = 6
_MOST_MIXED = 300  # names that some layers lack; real models have up to 60
_SORT = 3  # names that only some layers hold, for these to be of a sort of their own
_MOST_EXPERTS = 1 << 16


class Kept(NamedTuple):
    """How many tensors are promised in a stack, how many of them are there, what is amiss."""

    promised: int
    kept: int
    broken: tuple[Broken, ...]


class StackParts:
    """A stack with its parts by their names within a layer.

    `is_sure` where the config speaks of this stack beyond doubt: that of a language model.
    """

    def __init__(
        self, stack: Stack, parts: Mapping[str, Part], figures: Figures, is_sure: bool
    ) -> None:
        self.stack = stack
        self.parts = parts
        self.figures = figures
        self.is_sure = is_sure

    @cached_property
    def held(self) -> frozenset[int]:
        """The layers that are there, without those that draft tokens."""
        return frozenset(self.stack.indices)

    @cached_property
    def promised(self) -> frozenset[int]:
        """The layers that the config promises; those held, where it does not surely speak."""
        count = layer_count(self.stack) if self.is_sure else None
        first = min(self.held)
        return self.held if count is None else frozenset(range(first, first + count))

    @cached_property
    def drafting(self) -> frozenset[int]:
        """Further layers of the same container, that draft tokens."""
        everywhere = (part.layers for part in self.parts.values())
        return frozenset().union(*everywhere) - self.held

    @property
    def experts(self) -> int | None:
        """How many routed experts each layer of a mixture should hold."""
        said = self.figures.experts
        routers = [name for name, part in self.parts.items() if "router" in part.roles]
        is_one = len({name.rpartition(".")[0] for name in routers if "bias" not in name}) < 2
        # Ernie-VL stores the experts of text and images in a row, each with a router
        has_two = any(name.endswith("weight_1") for name in routers)
        is_known = self.is_sure and is_one and not has_two
        return said[0].value if is_known and said and said[0].value <= _MOST_EXPERTS else None

    def times(self, part: Part) -> int:
        """How many tensors of a part each layer should hold."""
        experts = self.experts if is_of_experts(part) else None
        if experts is None:
            return part.each
        return prod(map(len, part.inner[1:])) * experts * part.pieces[0].family.copies


def is_of_experts(part: Part) -> bool:
    """Whether a part has a tensor for each expert."""
    return bool(part.inner) and "experts.*" in part.shown


def layer_count(stack: Stack) -> int | None:
    """How many layers the config promises; None where it does not say, or runs some again."""
    config, held = stack.config, len(stack.indices)
    said = config.number(*keys.SIDE_LAYERS[stack.side], *keys.LAYERS)
    if said is None or said > _MOST_LAYERS or runs_again(stack, said):
        return None
    drafting = {config.number(key) for key in keys.DRAFTING} - {None}
    return held if held - said in drafting else said


def runs_again(stack: Stack, said: int) -> bool:
    """Whether more layers run than are stored, by design: shared layers, cycles of a few."""
    held = len(stack.indices)
    if any(stack.config.said(key) is not None for key in keys.SHARED_LAYERS):
        return said > held
    cycles = any(
        type(value) is int and value > 1 and keys.CYCLES.search(key)
        for key, value in stack.config.entries()
    )
    return cycles and said > held and said % held == 0


def keep(one: StackParts) -> Kept:
    """Each part in each layer that should have it."""
    kinds = Kinds(one.stack.config, len(one.promised), min(one.promised))
    groups = kinds.classes(one.promised & one.held)
    if sum(not part.layers >= one.held for part in one.parts.values()) > _MOST_MIXED:
        groups = []  # a design of its own, or none: each part is wanted where it is
    promised = kept = usual = 0
    broken: list[Broken] = []
    for part in one.parts.values():
        wanted, odd = _wanted(one, part, groups, kinds)
        times = one.times(part)
        usual += times if 2 * len(wanted) > len(one.held) else 0
        broken += odd
        lacking = list(_experts(one, part, wanted))
        broken += lacking
        promised += times * len(wanted | (part.layers & one.drafting))
        kept += _kept(one, part)
    lost, beyond = one.promised - one.held, one.held - one.promised
    if lost:
        promised += usual * len(lost)
        broken.append(_of_layers(one, MISSING, lost, usual * len(lost)))
    if beyond:
        count = sum(_in_layers(part, beyond) for part in one.parts.values())
        broken.append(_of_layers(one, BEYOND, beyond, count))
    return Kept(promised, kept, tuple(broken))


def _kept(one: StackParts, part: Part) -> int:
    """How many tensors of a part lie in layers, and belong to experts, that are promised."""
    layers = part.layers - one.promised - one.drafting
    return part.tensors - (_in_layers(part, layers) if layers else 0)


def _in_layers(part: Part, layers: frozenset[int]) -> int:
    return sum(part.held(layer) for layer in layers & part.layers)


def _of_layers(one: StackParts, what: str, layers: frozenset[int], count: int) -> Broken:
    said = f"{len(one.promised)} layers"
    return Broken(
        what, LAYERS, one.stack.container, "", one.stack.path, (IndexSet.of(layers),), count,
        f"config says {said}", said, str(one.stack.indices),
    )  # fmt: skip


def _wanted(
    one: StackParts, part: Part, groups: Sequence[frozenset[int]], kinds: Kinds
) -> tuple[frozenset[int], list[Broken]]:
    """The layers that should hold a part; and those that unexpectedly do not, or do."""
    wanted = part.layers & one.promised
    broken: list[Broken] = []
    if part.role in ("buffer", "rope", "other"):
        return wanted, broken
    for group in groups:
        have, lack = part.layers & group, group - part.layers
        if not have or not lack or kinds.explains(lack, group):
            continue
        if not one.is_sure and len(group) < _MIN_LAYERS:
            continue  # the stages of a vision tower differ
        if len(lack) < len(have):
            is_needed = part.role in PROJECTIONS and part.is_matrix
            if is_by_design(lack, group, is_needed) or _are_others(one, lack, group):
                continue
            if _ends_a_stream(one, lack, group):
                continue
            wanted |= lack
            found = _of_some(one, MISSING, part, lack, len(have))
            broken.append(found._replace(is_grave=_is_torn(one, part, lack)))
        elif one.is_sure and not is_regular(have, group) and not _is_a_sort(one, have, group):
            broken.append(_of_some(one, BEYOND, part, have, len(lack)))
    return wanted, broken


def _are_others(one: StackParts, few: frozenset[int], group: frozenset[int]) -> bool:
    """Whether some layers have something in its place: a dense block where others have experts."""
    return any(
        part.layers & group == few and part.roles & PROJECTIONS and part.is_matrix
        for part in one.parts.values()
    )


def _ends_a_stream(one: StackParts, lack: frozenset[int], group: frozenset[int]) -> bool:
    """Whether the last layer leaves out one of two streams: text that nothing reads any more.

    It lacks an output and a feed-forward, and holds another of each projection that it lacks.
    """
    if lack != {max(one.held)}:
        return False
    matrices = [part for part in one.parts.values() if part.is_matrix]
    lost = {part.role for part in matrices if group - part.layers == lack} & PROJECTIONS
    return {"o", "down"} <= lost <= {part.role for part in matrices if part.layers >= group}


def _is_a_sort(one: StackParts, few: frozenset[int], group: frozenset[int]) -> bool:
    """Whether some layers share so much that they are layers of a sort of their own."""
    return sum(part.layers & group == few for part in one.parts.values()) >= _SORT


def _is_torn(one: StackParts, part: Part, lack: frozenset[int]) -> bool:
    """Whether the layers that lack a projection hold others that work with it."""
    block = block_of(part)
    return (
        one.is_sure
        and part.role in PROJECTIONS
        and part.is_matrix
        and any(
            other.roles <= PROJECTIONS and block_of(other) == block and lack <= other.layers
            for other in one.parts.values()
        )
    )


def _of_some(one: StackParts, what: str, part: Part, layers: frozenset[int], others: int) -> Broken:
    is_missing = what == MISSING
    at = IndexSet.of(layers)
    return Broken(
        what, TENSORS, one.stack.container, part.role, part.pattern, (at, *part.inner),
        len(layers) * one.times(part),
        f"{others} layers of the same kind {'have' if is_missing else 'lack'} it",
        f"in {'every' if is_missing else 'no'} layer of its kind",
        f"{'not ' if is_missing else ''}in {at}",
    )  # fmt: skip


def _experts(one: StackParts, part: Part, wanted: frozenset[int]) -> Iterator[Broken]:
    """Experts that layers lack, or have beyond those that config knows."""
    count = one.experts if is_of_experts(part) else None
    if count is None or (part.is_product and len(part.inner[0]) == count):
        return
    everyone = frozenset(range(count))
    lacking: dict[tuple[str, frozenset[int]], list[int]] = {}
    for layer in sorted(wanted & part.layers):
        pieces = [piece.inner(layer) for piece in part.pieces if layer in piece.layers]
        held = frozenset(inner[0] for inners in pieces for inner in inners)
        for what, odd in ((MISSING, everyone - held), (BEYOND, held - everyone)):
            if odd:
                lacking.setdefault((what, odd), []).append(layer)
    for (what, odd), layers in lacking.items():
        seen = count - len(odd) if what == MISSING else count + len(odd)
        rest = part.inner[1:]
        yield Broken(
            what, EXPERTS, one.stack.container, part.role, part.pattern,
            (IndexSet.of(layers), IndexSet.of(odd), *rest),
            len(layers) * len(odd) * prod(map(len, rest)) * part.pieces[0].family.copies,
            one.figures.experts[0].words, f"{count} experts", f"{seen} experts",
        )  # fmt: skip
