"""What is left at last: tensors whose shape is alone of its kind at its place, on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.slots import leaf_of
from ckptscan.structure.match.values import MODULE, SHAPES, Match, Side, Unit

Segments = tuple[str, ...]
_PLAIN = frozenset({"weight", "bias", "gamma", "beta"})


def match_modules(a: Side, b: Side, found: list[Match]) -> Iterator[Match]:
    """Tensors that go with a matched one of their module: its bias, its other parameters."""
    homes: dict[Segments, set[Segments]] = defaultdict(set)
    for match in found:
        if len(match.a) == len(match.b) == 1 and not match.composed:
            one, two = match.a[0].unit, match.b[0].unit
            if one.stars == two.stars and one.module != two.module:
                homes[one.module].add(two.module)
    by_name: dict[tuple[Segments, str], list[Unit]] = defaultdict(list)
    for unit in b.open():
        by_name[unit.module, _leaf(unit)].append(unit)
    for one in list(a.open()):
        for module in sorted(homes.get(one.module, ())):
            for two in by_name.get((module, _leaf(one)), ()):
                common = a.left(one).meet(b.left(two))
                if len(common) and one.shape == two.shape:
                    yield Match((a.take(one, common),), (b.take(two, common),), MODULE)


def _leaf(unit: Unit) -> str:
    """The leaf under which a tensor of another naming is looked for."""
    return leaf_of(unit) if unit.leaf in _PLAIN else unit.leaf


def match_shapes(a: Side, b: Side) -> Iterator[Match]:
    """Doubtful matches of tensors whose shape stands once at these indices on either side.

    Vectors say too little; they are matched as parts of modules alone.
    """
    ours, theirs = _by_shape(a), _by_shape(b)
    for key, some in ours.items():
        others = theirs.get(key, [])
        if len(some) == len(others) == 1:
            one, two = some[0], others[0]
            common = a.left(one).meet(b.left(two))
            yield Match(
                (a.take(one, common),), (b.take(two, common),), SHAPES, is_sure=False
            )


def _by_shape(side: Side) -> dict[object, list[Unit]]:
    found: dict[object, list[Unit]] = defaultdict(list)
    for unit in side.open():
        if unit.shape is not None and len(unit.shape) > 1 and unit.stars:
            key: tuple[Region, tuple[int, ...], str] = (
                side.left(unit),
                unit.shape,
                unit.family.dtype.kind,
            )
            found[key].append(unit)
    return found
