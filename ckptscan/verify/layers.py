"""Which indices stand for the others: of layers the ends and a middle, of experts a few."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ckptscan.errors import UsageError
from ckptscan.names import IndexSet, fill, split_stars
from ckptscan.structure import Family, Layers, Structure

Chosen = Mapping[str, Collection[int]]  # container -> the indices of its children that are loaded


def layers_of_runs(structure: Structure) -> Chosen:
    """The first, a middle and the last layer of every run of each outermost container."""
    return {one.container: _of_runs(one) for one in _outermost(structure)}


def layers_asked_for(structure: Structure, asked: IndexSet) -> Chosen:
    """These layers of every outermost container; raises UsageError where none has one of them."""
    held = {
        one.container: frozenset(index for kind in one.kinds for index in kind.indices)
        for one in _outermost(structure)
    }
    unknown = [index for index in asked if not any(index in own for own in held.values())]
    if unknown:
        there = ", ".join(f"{IndexSet.of(own)} in {path[:80]}" for path, own in held.items())
        raise UsageError(
            f"there is no layer {unknown[0]}", f"there are {there}" if there else "it has no layers"
        )
    return {path: [index for index in own if index in asked] for path, own in held.items()}


def _outermost(structure: Structure) -> Iterator[Layers]:
    return (one for one in structure.layers if not one.within)


def _of_runs(layers: Layers) -> frozenset[int]:
    """Of each letter of each run of the layout the first, a middle and the last index."""
    placed = sorted((index, kind.name) for kind in layers.kinds for index in kind.indices)
    chosen: set[int] = set()
    reached = 0
    for run in layers.layout:
        size = len(run.letters) * run.times
        own: dict[str, list[int]] = {}
        for index, name in placed[reached : reached + size]:
            own.setdefault(name, []).append(index)
        chosen.update(index for indices in own.values() for index in ends_and_middle(indices))
        reached += size
    return frozenset(chosen)


def ends_and_middle(indices: Sequence[int]) -> set[int]:
    """The first, a middle and the last of these."""
    return {indices[0], indices[len(indices) // 2], indices[-1]} if indices else set()


def ends_and_another(indices: Sequence[int], seed: str) -> set[int]:
    """The first, the last, and one in between that the seed draws."""
    found = {indices[0], indices[-1]} if indices else set()
    inner = indices[1:-1]
    return found | {random.Random(seed).choice(inner)} if inner else found


def names_of(family: Family, layers: Chosen, seed: int, is_strict: bool) -> Iterable[str]:
    """Names of a family that stand for it: those in these layers, and of what lies within a few.

    Where none of its layers is among them all ends stand for it, but with `is_strict` nothing.
    """
    if not family.axes:
        return () if is_strict else (fill(family.pattern, (), ()),)
    allowed: list[Collection[int]] = []
    for place, axis in enumerate(family.axes):
        container = _container(family, place)
        if place:
            allowed.append(ends_and_another(list(axis), f"{seed}:{container}"))
            continue
        inside = set(axis) & set(layers.get(container, ()))
        allowed.append(inside if inside or is_strict else ends_and_middle(list(axis)))
    found = [
        at
        for at in family.indices()
        if all(index in own for index, own in zip(at, allowed, strict=True))
    ]
    if not found and not is_strict:
        every = list(family.indices())
        found = [every[0], every[-1]]
    return [fill(family.pattern, at, family.axes) for at in found]


def _container(family: Family, star: int) -> str:
    """What the children are numbered in that this star of the pattern stands for."""
    before = "*".join(split_stars(family.pattern)[: star + 1])
    path = before[:-1] if before[-1:] in ("", ".") else f"{before}*"
    return f"{family.component}/{path}" if family.component else path
