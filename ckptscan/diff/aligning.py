"""Which layers of A became which of B where headers do not tell: by their smallest vectors.

In a stack of layers that all look alike, norms tell one from the other: vectors of a few kilobytes
that are trained. The longest common sequence of layers with the same ones is what was kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.content.blocks import faults_of
from ckptscan.content.pairs.bits import prints
from ckptscan.content.pairs.fetching import Place
from ckptscan.diff.values import Diff
from ckptscan.structure.match import Container, Known, Part, containers_of
from ckptscan.structure.match.layers import longest_common
from ckptscan.structure.match.rows import rows_of

_FAMILIES = 3  # vectors of a layer that are read
_ELEMENTS = 256  # of each
_LEAST = 8  # elements below which a vector tells too little

Layers = Mapping[Container, Known]


class _Vector(NamedTuple):
    """A vector of each layer: the parts that hold it on one side, and its name below the layer."""

    part: Part
    container: Container
    name: tuple[str, ...]


def align_by_content(diff: Diff, a: Place, b: Place, most: int) -> Layers:
    """The layers that both sides have, by container, where headers left that open.

    Reads no more than `most` bytes for each container.
    """
    found = {}
    for one in diff.layers:
        if one.noun != "layer" or one.is_sure or one.a != one.b:
            continue
        ours, theirs = (list(_vectors(diff, side, one.a)) for side in ("a", "b"))
        names = {vector.name for vector in ours} & {vector.name for vector in theirs}
        chosen = sorted(names)[:_FAMILIES]
        cost = sum(len(one.part.region) for one in (*ours, *theirs)) * _ELEMENTS * 8
        if not chosen or cost > most:
            continue
        prints_a = _prints(a, [vector for vector in ours if vector.name in chosen])
        prints_b = _prints(b, [vector for vector in theirs if vector.name in chosen])
        known = _common(prints_a, prints_b)
        if known.pairs:
            found[ours[0].container] = known
    return found


def _vectors(diff: Diff, side: str, container: str) -> Iterator[_Vector]:
    """The vectors of each layer of a container."""
    for change in diff.changes:
        for part in change.a if side == "a" else change.b:
            unit = part.unit
            if unit.is_book or not part.region.arity or unit.copies > 1:
                continue
            if len(unit.family.shape) != 1 or unit.family.shape[0] < _LEAST:
                continue
            for place, segments in containers_of(unit):
                if place == 0 and ".".join(segments) == container:
                    yield _Vector(part, segments, unit.segments[len(segments) + 1 :])


def _prints(place: Place, vectors: list[_Vector]) -> dict[int, bytes]:
    """What tells the layers of one side apart, by their own numbers."""
    table = place.side.structure.checkpoint.table
    bad = {row for shard in table.shards for row in faults_of(table, shard)}
    wanted: dict[tuple[str, int, int], tuple[int, tuple[str, ...], str]] = {}
    for vector in vectors:
        family = vector.part.unit.family
        width = (family.dtype.bits or 8) // 8
        length = min(family.shape[0], _ELEMENTS) * width
        rows = rows_of(table.names, vector.part)
        own = vector.part.unit.numbers
        for (first, *inner), row in zip(vector.part.region, rows, strict=True):
            if row not in bad and width:
                path, start = place.at(row, 0)
                name = *vector.name, *map(str, inner)
                wanted[path, start, length] = own.get(first, first), name, family.dtype.name
    held: dict[int, list[tuple[tuple[str, ...], bytes]]] = {}
    for stretch, raw in place.read(list(wanted)).items():
        number, name, dtype = wanted[stretch]
        held.setdefault(number, []).append((name, prints(dtype, raw)))
    return {number: b"".join(one for _, one in sorted(some)) for number, some in held.items()}


def _common(a: Mapping[int, bytes], b: Mapping[int, bytes]) -> Known:
    """The layers of both, in order, and copies; none where layers of A can't be told apart."""
    ours, theirs = sorted(a), sorted(b)
    one, two = [a[number] for number in ours], [b[number] for number in theirs]
    if len(set(one)) < len(one) and len(set(two)) < len(two):
        return Known({})
    pairs = {ours[left]: theirs[right] for left, right in longest_common(one, two)}
    number_of = dict(zip(one, ours, strict=True))
    others = b.keys() - set(pairs.values())
    return Known(pairs, {new: number_of[b[new]] for new in others if b[new] in number_of})
