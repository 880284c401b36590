"""Tensors that were joined or split: q, k and v in one, gate and up in one, experts in a stack.

The fused tensor stands on one side, its parts on the other; roles say what may be joined, shapes
whether it was: logical elements are equal, and all dimensions but the joined one too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.slots import Slot, Slots, by_slot, is_bias
from ckptscan.structure.match.values import ROLE, Match, Part, Side, Unit

# fused role -> the roles whose tensors it may hold, in the usual order
_PARTS = {
    "qkv": (("q", "k", "v"), ("q", "kv"), ("qk", "v")),
    "kv": (("k", "v"),),
    "gate_up": (("gate", "up"),),
    "expert.gate_up": (("expert.gate", "expert.up"),),
    "shared_expert.gate_up": (("shared_expert.gate", "shared_expert.up"),),
}

Shape = tuple[int, ...]
_Modules = frozenset[tuple[str, ...]]


class _Fusion(NamedTuple):
    """How parts make a fused tensor, and whether another reading is possible."""

    parts: str
    whole: str
    is_turned: bool
    is_sure: bool

    @property
    def joined(self) -> str:
        """In words, from the parts to the whole."""
        return f"{self.parts} -> {self.whole}" + ", transposed" * self.is_turned

    @property
    def split(self) -> str:
        """In words, from the whole to the parts."""
        return f"{self.whole} -> {self.parts}" + ", transposed" * self.is_turned


def match_composed(a: Side, b: Side) -> Iterator[Match]:
    """Matches of fused tensors and their parts, in either direction."""
    for fused, parts, is_fused_in_b in ((b, a, True), (a, b, False)):
        for has_towers in (True, False):
            slots = Slots(fused, has_towers)
            held = by_slot(parts, parts.open(), has_towers)
            known: set[_Modules] = set()
            for unit in sorted(fused.open(), key=is_bias):
                slot = slots.of(unit)
                if slot is not None and len(fused.left(unit)):
                    yield from _fused(fused, parts, unit, slot, held, known, is_fused_in_b)


def _fused(
    fused: Side,
    parts: Side,
    unit: Unit,
    slot: Slot,
    held: dict[Slot, list[Unit]],
    known: set[_Modules],
    is_fused_in_b: bool,
) -> Iterator[Match]:
    """The match of what is left of one fused tensor, if its parts are there.

    `known` are the modules whose weights were joined; a bias is joined with its weight alone.
    """
    for roles in (*_PARTS.get(slot.role, ()), (slot.role,)):
        for deeper in (0, 1):
            wanted = [slot._replace(role=role, stars=slot.stars + deeper) for role in roles]
            found = [[one for one in held.get(key, ()) if one is not unit] for key in wanted]
            if (len(roles) == 1 and not deeper) or not all(found):
                continue
            chosen = [_fitting(parts, fused.left(unit), some) for some in found]
            taken = [one for one in chosen if one is not None]
            if len(taken) < len(chosen) or len({id(one) for one in taken}) < len(taken):
                continue
            modules = frozenset(one.module for one in (unit, *taken))
            if is_bias(unit) and modules not in known:
                continue
            match = _taken(fused, parts, unit, taken)
            if match is not None:
                known.add(modules)
                mine, theirs, fusion = match
                one, two = (theirs, (mine,)) if is_fused_in_b else ((mine,), theirs)
                words = fusion.joined if is_fused_in_b else fusion.split
                yield Match(one, two, ROLE, "", fusion.is_sure, words)


def _fitting(parts: Side, region: Region, units: Sequence[Unit]) -> Unit | None:
    """The one unit whose first indices are among those of the fused tensor."""
    found = [one for one in units if len(parts.left(one).leading(region.arity).meet(region))]
    return found[0] if len(found) == 1 else None


def _taken(
    fused: Side, parts: Side, unit: Unit, units: Sequence[Unit]
) -> tuple[Part, tuple[Part, ...], _Fusion] | None:
    """The parts of both sides, taken, where shapes agree."""
    common = fused.left(unit)
    for one in units:
        common = common.meet(parts.left(one).leading(common.arity))
    if not len(common):
        return None
    regions = [_below(parts.left(one), common) for one in units]
    counts = {len(region) // len(common) for region in regions}
    if len(counts) != 1 or any(len(region) % len(common) for region in regions):
        return None
    fusion = fusion_of(unit, units, counts.pop())
    if fusion is None:
        return None
    theirs = tuple(parts.take(one, region) for one, region in zip(units, regions, strict=True))
    return fused.take(unit, common), theirs, fusion


def _below(region: Region, leading: Region) -> Region:
    """The tuples of a region that begin with those of another."""
    if region.arity == leading.arity:
        return region.meet(leading)
    if region.tuples is None and leading.tuples is None:
        return Region((*leading.axes, *region.axes[leading.arity :]))
    size = leading.arity
    begins = frozenset(leading)
    return Region.of((one for one in region if one[:size] in begins), region.arity)


def fusion_of(unit: Unit, units: Sequence[Unit], times: int) -> _Fusion | None:
    """How `times` tensors of each of these units make the fused one, None where they do not."""
    shapes = [one.shape for one in units]
    if unit.shape is None or any(shape is None for shape in shapes):
        return _by_count(unit, units, times)
    known = [shape for shape in shapes if shape is not None]
    whole = _joined(known, times)
    for turned, shape in ((False, unit.shape), (True, _turned(unit.shape))):
        if shape in whole:
            return _Fusion(*_words(unit, units, times), turned, is_sure=not _is_open(unit, known))
    return None


def _words(unit: Unit, units: Sequence[Unit], times: int) -> tuple[str, str]:
    """The parts and the whole in words: `64 experts of gate + up`, `one stack of gate_up`."""
    parts = " + ".join(one.role.name.rpartition(".")[2] for one in units)
    whole = unit.role.name.rpartition(".")[2]
    if times == 1:
        return parts, whole
    if len(units) == 1:
        return f"{times} experts", "one stack"
    return f"{times} experts of {parts}", f"one stack of {whole}"


def _turned(shape: Shape) -> Shape:
    """A shape with rows and columns exchanged."""
    return (*shape[:-2], *shape[-2:][::-1])


def _joined(parts: Sequence[Shape], times: int) -> set[Shape]:
    """The shapes that these make, one after the other; as a stack where they are many."""
    first, *others = parts
    if not first or any(len(one) != len(first) or one[1:] != first[1:] for one in others):
        return set()
    rows = sum(one[0] for one in parts)
    one = (rows, *first[1:])
    if times == 1:
        return {one}
    return {(times, *one), (times * rows, *first[1:])}


def _is_open(unit: Unit, parts: Iterable[Shape]) -> bool:
    """Whether rows of key and value may be interleaved by group, which no shape tells."""
    rows = {shape[0] for shape in parts if shape}
    return unit.role.name == "qkv" and len(rows) > 1


def _by_count(unit: Unit, units: Sequence[Unit], times: int) -> _Fusion | None:
    """The same by elements alone, where a packed shape is not known."""
    counts = list(chain([unit.each], (one.each for one in units)))
    if any(count is None for count in counts):
        return None
    whole, *rest = (count or 0 for count in counts)
    if not whole or whole != times * sum(rest):
        return None
    return _Fusion(*_words(unit, units, times), is_turned=False, is_sure=False)
