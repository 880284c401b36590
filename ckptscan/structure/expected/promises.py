"""Structure and its config -> the tensors that are promised, and what of that is not kept.

Which modules a layer has, config.json does not say in a way that all models share: that is read
from the layers themselves. What is proved is the rest: that every layer which the config promises,
and every expert, holds each module of its kind, in the shape that the config's figures make.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ckptscan.names import IndexSet
from ckptscan.structure.expected import keys
from ckptscan.structure.expected.blocks import absent_blocks
from ckptscan.structure.expected.figures import Figures
from ckptscan.structure.expected.kinds import Kinds, is_regular
from ckptscan.structure.expected.parts import Part, below, parts_of
from ckptscan.structure.expected.shaping import Shaping
from ckptscan.structure.expected.stacks import Stack, is_causal, main_stacks
from ckptscan.structure.expected.values import (
    BEYOND,
    EXPERTS,
    LAYERS,
    MISSING,
    TENSORS,
    Broken,
    Expected,
)

if TYPE_CHECKING:
    from ckptscan.structure import Structure

_MOST_LAYERS = 10_000
_MOST_FAMILIES = 5_000  # the largest real model has 400
_MOST_PLACES = 1 << 20  # of names in layers


def expect(structure: Structure) -> Expected:
    """What the config of a checkpoint promises of its tensors."""
    reason = _reason(structure)
    if reason:
        return Expected(structure.tensors, structure.nbytes, reason=reason)
    parts = parts_of(structure)
    stacks = [_Layers.of(structure, stack, parts) for stack in main_stacks(structure)]
    if not stacks:
        said = "no layers that attend or feed forward"
        return Expected(structure.tensors, structure.nbytes, reason=said)
    if sum(len(one.parts) * len(one.stack.indices) for one in stacks) > _MOST_PLACES:
        said = "more names in layers than any model has"
        return Expected(structure.tensors, structure.nbytes, reason=said)
    shaping = Shaping(structure)
    for one in stacks:
        shaping.add_layers(one.stack, one.parts, one.figures)
    shaping.add_rest(parts, _figures_by_tower(structure, stacks))
    promised = kept = 0
    broken: list[Broken] = []
    for one in stacks:
        found = one.kept()
        promised += found.promised
        kept += found.kept
        broken += found.broken
    in_layers = {id(part) for one in stacks for part in one.parts.values()}
    for part in parts:  # ends and other parts of which the config gives the shape
        if id(part) not in in_layers and shaping.is_shaped(part):
            promised += part.tensors
            kept += part.tensors
    return Expected(
        structure.tensors,
        structure.nbytes,
        promised,
        kept,
        shaping.tensors,
        shaping.nbytes,
        (*broken, *shaping.broken()),
    )


def _reason(structure: Structure) -> str:
    """Why nothing can be told of a checkpoint, if so."""
    checkpoint = structure.checkpoint
    if checkpoint.configs:
        return "a pipeline of components, each with a config of its own"
    if structure.adapter is not None:
        return "an adapter: what it needs, its base says"
    if not any(name in checkpoint.config.documents for name in ("config.json", "params.json")):
        return "no config.json beside the weights"
    if len(structure.families) > _MOST_FAMILIES:
        return f"{len(structure.families):,} families of tensors, more than any model has"
    return ""


def _figures_by_tower(structure: Structure, stacks: Sequence[_Layers]) -> Mapping[str, Figures]:
    found = {one.stack.tower: one.figures for one in stacks}
    for tower in ("text", "vision", "audio"):
        found.setdefault(tower, Figures(structure.checkpoint.config.tower(tower)))
    return found


@dataclass(frozen=True)
class _Kept:
    """What of the promises for one stack is kept."""

    promised: int
    kept: int
    broken: tuple[Broken, ...]


@dataclass(frozen=True)
class _Layers:
    """One stack with its parts; `promised` are the indices that the config speaks of."""

    stack: Stack
    parts: Mapping[str, Part]
    figures: Figures
    promised: frozenset[int]
    drafting: frozenset[int]

    @classmethod
    def of(cls, structure: Structure, stack: Stack, parts: Sequence[Part]) -> _Layers:
        """A stack of a structure."""
        widths = [
            one.hidden
            for one in (*structure.attention, *structure.feed_forward)
            if one.container == stack.container and one.hidden is not None
        ]
        figures = Figures(stack.config, stack.side, widths[0] if widths else None)
        held = frozenset(stack.indices)
        count = _count(stack)
        first = min(held)
        promised = frozenset(range(first, first + count)) if count is not None else held
        own = below(parts, stack.path)
        everywhere = frozenset().union(*(part.layers for part in own.values()))
        return cls(stack, own, figures, promised, everywhere - held)

    @property
    def container(self) -> str:
        return self.stack.container

    def kept(self) -> _Kept:
        """Each part in each layer that should have it."""
        held = frozenset(self.stack.indices)
        classes = Kinds(self.stack.config, len(self.promised))
        first = min(self.promised)
        promised = kept = 0
        broken: list[Broken] = []
        needed: dict[str, frozenset[int]] = {}
        by_label = classes.classes(layer - first for layer in self.promised & held)
        groups = [frozenset(layer + first for layer in group) for group in by_label.values()]
        for suffix, part in self.parts.items():
            wanted, odd = self._wanted(part, groups, classes, first)
            needed[suffix] = wanted
            broken += odd
            promised += self._times(part) * len(wanted | (part.layers & self.drafting))
            absent, lacking = self._experts(part, wanted)
            kept += part.tensors - self._beyond(part) + absent * 0
            broken += lacking
        lost = self.promised - held
        if lost:
            usual = sum(self._times(p) for s, p in self.parts.items() if 2 * len(needed[s]) > len(held))
            promised += usual * len(lost)
            broken.append(self._of_layers(MISSING, lost, usual * len(lost)))
        beyond = held - self.promised
        if beyond:
            count = sum(self._beyond(part) for part in self.parts.values())
            broken.append(self._of_layers(BEYOND, beyond, count))
        broken += self._absent()
        return _Kept(promised, kept, tuple(broken))

    def _absent(self) -> Iterator[Broken]:
        if self.stack.tower == "text" and is_causal(self.stack.config):
            yield from absent_blocks(self.stack, self.parts, self.figures)

    def _beyond(self, part: Part) -> int:
        """How many of a part's tensors lie in layers that are not promised."""
        layers = part.layers - self.promised - self.drafting
        return sum(part.held(layer) for layer in layers) if layers else 0

    def _of_layers(self, what: str, layers: frozenset[int], count: int) -> Broken:
        indices = IndexSet.of(layers)
        said = f"{len(self.promised)} layers"
        return Broken(
            what, LAYERS, self.container, "", self.stack.path, (indices,), count,
            said, said, str(self.stack.indices),
        )  # fmt: skip

    def _times(self, part: Part) -> int:
        """How many tensors of a part each layer should hold."""
        experts = self._expert_axis(part)
        if experts is None:
            return part.each
        return prod(len(axis) for axis in part.inner[1:]) * experts * part.pieces[0].family.copies

    def _expert_axis(self, part: Part) -> int | None:
        """How many experts the config promises, where the first inner index counts experts."""
        if not part.inner or not part.role.startswith(("expert.", "quantization")):
            return None
        if "experts.*" not in part.shown or not self.figures.experts:
            return None
        return self.figures.experts[0].value

    def _experts(self, part: Part, wanted: frozenset[int]) -> tuple[int, list[Broken]]:
        """Experts that layers lack."""
        count = self._expert_axis(part)
        if count is None or count > _MOST_PLACES:
            return 0, []
        if part.is_product and len(part.inner[0]) == count:
            return 0, []
        lacking: dict[frozenset[int], list[int]] = {}
        everyone = frozenset(range(count))
        for layer in sorted(wanted & part.layers):
            held = [p.inner(layer) for p in part.pieces if layer in p.layers]
            absent = everyone - {inner[0] for one in held for inner in one}
            if absent:
                lacking.setdefault(absent, []).append(layer)
        found = [
            Broken(
                MISSING, EXPERTS, self.container, part.role, part.pattern,
                (IndexSet.of(layers), IndexSet.of(absent), *part.inner[1:]),
                len(layers) * len(absent) * prod(map(len, part.inner[1:])),
                self.figures.experts[0].words, f"{count} experts", f"{count - len(absent)} experts",
            )  # fmt: skip
            for absent, layers in lacking.items()
        ]
        return sum(one.count for one in found), found

    def _wanted(
        self, part: Part, groups: Iterable[frozenset[int]], kinds: Kinds, first: int
    ) -> tuple[frozenset[int], list[Broken]]:
        """The layers that should hold a part; and those that unexpectedly do not, or do."""
        wanted: set[int] = set()
        broken: list[Broken] = []
        for group in groups:
            have = part.layers & group
            lack = group - have
            if not have or not lack or part.role in ("buffer", "rope"):
                wanted |= have
                continue
            moved = frozenset(layer - first for layer in lack)
            among = frozenset(layer - first for layer in group)
            wanted |= have
            if kinds.explains(moved, among) or is_regular(moved, among):
                continue
            if len(lack) < len(have):
                wanted |= lack
                broken.append(self._of_some(MISSING, part, lack, len(have)))
            else:
                broken.append(self._of_some(BEYOND, part, have, len(lack)))
        return frozenset(wanted), broken

    def _of_some(self, what: str, part: Part, layers: frozenset[int], others: int) -> Broken:
        verb = "have it" if what == MISSING else "lack it"
        return Broken(
            what, TENSORS, self.container, part.role, part.pattern,
            (IndexSet.of(layers), *part.inner), len(layers) * part.each,
            f"{others} layers of the same kind {verb}",
            "in every layer of its kind" if what == MISSING else "in no layer of its kind",
            f"not in {IndexSet.of(layers)}" if what == MISSING else f"in {IndexSet.of(layers)}",
        )  # fmt: skip


def _count(stack: Stack) -> int | None:
    """How many layers the config promises; None where it does not say, or shares them."""
    config = stack.config
    if any(config.said(key) is not None for key in keys.SHARED_LAYERS):
        return None
    said = config.number(*keys.SIDE_LAYERS[stack.side], *keys.LAYERS)
    if said is None or said > _MOST_LAYERS:
        return None
    drafting = [config.number(key) or 0 for key in keys.DRAFTING]
    return len(stack.indices) if len(stack.indices) - said in {*drafting} - {0} else said


