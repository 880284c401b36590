"""Structure and its config -> the tensors that are promised, and what of that is not kept.

Which modules a layer has, config.json does not say in a way that all models share: that is read
from the layers themselves. What is proved is the rest: that every layer which the config promises,
and every expert, holds each module of its kind, in the shape that the config's figures make.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ckptscan.structure.expected.blocks import absent_blocks
from ckptscan.structure.expected.figures import Figures, figures_of
from ckptscan.structure.expected.kinds import Kinds
from ckptscan.structure.expected.layers import StackParts, keep, layer_count
from ckptscan.structure.expected.parts import Part, below, parts_of
from ckptscan.structure.expected.shaping import Firm, Shaping, misshaped
from ckptscan.structure.expected.stacks import Stack, is_causal, largest_stacks, main_of
from ckptscan.structure.expected.values import Broken, Expected

if TYPE_CHECKING:
    from ckptscan.structure import Structure

_MOST_FAMILIES = 2_000  # the largest real model has 400
_MOST_PLACES = 1 << 20  # of names in layers
_TOWERS = ("text", "vision", "audio")


def expect(structure: Structure) -> Expected:
    """What the config of a checkpoint promises of its tensors."""
    stacks = [] if _reason(structure) else largest_stacks(structure)
    reason = _reason(structure) or ("" if stacks else "no layers that attend or feed forward")
    parts = [] if reason else parts_of(structure)
    if sum(len(part.layers) for part in parts) > _MOST_PLACES:
        reason = "more names in layers than any model has"
    if reason:
        return Expected(structure.tensors, structure.nbytes, reason=reason)
    return _expected(structure, parts, _with_parts(structure, stacks, parts))


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


def _with_parts(
    structure: Structure, stacks: Sequence[Stack], parts: Sequence[Part]
) -> list[StackParts]:
    main = main_of(stacks)
    found = []
    for stack in stacks:
        figures = figures_of(structure, stack)
        is_sure = stack in main and (is_causal(stack.config) or _is_meant(stack, figures))
        found.append(StackParts(stack, below(parts, stack.path), figures, is_sure))
    return found


def _is_meant(stack: Stack, figures: Figures) -> bool:
    """Whether the config is beyond doubt that of these layers: as many, and as wide."""
    is_as_wide = bool(figures.hidden) and figures.hidden[0].value == figures.seen_hidden
    return is_as_wide and layer_count(stack) == len(stack.indices)


def _expected(
    structure: Structure, parts: Sequence[Part], stacks: Sequence[StackParts]
) -> Expected:
    shaping = Shaping(structure)
    promised = kept = 0
    broken: list[Broken] = []
    for one in stacks:
        found = keep(one)
        promised, kept = promised + found.promised, kept + found.kept
        broken += found.broken
        if not one.is_sure and layer_count(one.stack) not in (None, len(one.held)):
            shaping.leave_out([*one.parts.values()])  # the config may speak of other layers
            continue
        firm = shaping.add([*one.parts.values()], one.figures, is_in_layer=True)
        if not one.is_sure and one.stack.tower != "text":
            broken += absent_blocks(one.stack, one.parts, one.figures)
        if one.is_sure:
            kinds = Kinds(one.stack.config, len(one.promised), min(one.promised))
            if is_causal(one.stack.config):  # of another class the whole may be made otherwise
                broken += absent_blocks(one.stack, one.parts, one.figures)
            broken += misshaped(firm, one.stack.container, kinds)
    rest = shaping.add_rest(parts, _by_tower(structure, stacks))
    broken += _of_ends(stacks, rest, parts)
    in_layers = {id(part) for one in stacks for part in one.parts.values()}
    for part in parts:  # ends and other parts of which the config gives the shape
        if id(part) not in in_layers and shaping.is_shaped(part):
            promised, kept = promised + part.tensors, kept + part.tensors
    sums = (structure.tensors, structure.nbytes, promised, kept)
    return Expected(*sums, shaping.tensors, shaping.nbytes, tuple(broken))


def _of_ends(
    stacks: Sequence[StackParts], rest: Sequence[Firm], parts: Sequence[Part]
) -> Iterator[Broken]:
    """Tables of another width than the residual stream, of a model that is understood.

    A table may be narrower where a matrix leads from its width to the model's.
    """
    sure = [one.figures for one in stacks if one.is_sure]
    if not sure or not all(one.hidden and one.hidden[0].value == one.seen_hidden for one in sure):
        return
    bridged = {
        frozenset(piece.shape)
        for part in parts
        if not part.pieces[0].family.axes
        for piece in part.pieces
        if piece.shape is not None and len(piece.shape) == 2
    }
    for hidden in {one.seen_hidden or 0 for one in sure}:
        bridged = {pair for pair in bridged if hidden in pair}
    kept = [one for one in rest if one.fits or not _is_bridged(one, bridged)]
    yield from misshaped(kept, "", None)


def _is_bridged(one: Firm, bridged: Collection[frozenset[int]]) -> bool:
    """Whether a matrix leads from a table's width to the model's."""
    width = (one.piece.shape or (0,))[-1]
    return any(width in pair for pair in bridged)


def _by_tower(structure: Structure, stacks: Sequence[StackParts]) -> Mapping[str, Figures]:
    found = {one.stack.tower: one.figures for one in stacks}
    for tower in _TOWERS:
        found.setdefault(tower, Figures(structure.checkpoint.config.tower(tower)))
    return found
