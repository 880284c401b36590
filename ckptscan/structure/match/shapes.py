"""What is left at last: tensors whose shape is alone of its kind at its place, on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.slots import leaf_of
from ckptscan.structure.match.values import MODULE, SHAPES, Match, Side, Unit

Segments = tuple[str, ...]
_MOST_PARTS = 4  # that are joined in one
_MOST_ALIKE = 16  # of one shape at one place; more are told as gone and new
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
    """Doubtful matches: shapes that stand once at their indices on either side.

    Where all that is left at these indices has the same shapes on both sides, alike ones are taken
    in the order of their names.
    """
    ours, theirs = _by_place(a), _by_place(b)
    for place, some in ours.items():
        others = theirs.get(place, {})
        counts = {shape: len(units) for shape, units in some.items()}
        is_all = counts == {shape: len(units) for shape, units in others.items()}
        is_all = is_all and any(len(shape[0]) > 1 for shape in counts)
        for shape, units in some.items():
            partners = others.get(shape, [])
            is_alone = len(units) == len(partners) == 1 and len(shape[0]) > 1
            if is_alone or (is_all and len(units) <= _MOST_ALIKE):
                for one, two in zip(units, partners, strict=True):
                    common = a.left(one).meet(b.left(two))
                    mine, other = a.take(one, common), b.take(two, common)
                    yield Match((mine,), (other,), SHAPES, is_sure=False)


def match_sums(a: Side, b: Side) -> Iterator[Match]:
    """Doubtful matches of one tensor and several whose rows together are its rows.

    They lie in one parent and have the same columns, and nothing else there is left.
    """
    ours, theirs = _by_columns(a), _by_columns(b)
    for key, some in ours.items():
        others = theirs.get(key, [])
        if min(len(some), len(others)) != 1 or not 2 <= max(len(some), len(others)) <= _MOST_PARTS:
            continue
        if sum(map(_rows, some)) == sum(map(_rows, others)):
            words = " -> ".join(
                " + ".join(_own_name(unit) for unit in units) for units in (some, others)
            )
            mine = tuple(a.take(unit, a.left(unit)) for unit in some)
            other = tuple(b.take(unit, b.left(unit)) for unit in others)
            yield Match(mine, other, SHAPES, is_sure=False, composed=words)


def _by_columns(side: Side) -> dict[object, list[Unit]]:
    """What is left by parent, leaf, index tuples and columns."""
    found: dict[object, list[Unit]] = defaultdict(list)
    for unit in side.open():
        if unit.shape is not None and len(unit.shape) > 1 and len(unit.segments) > 2:
            key = unit.segments[:-2], unit.leaf, side.left(unit), unit.shape[1:]
            found[key].append(unit)
    return found


def _rows(unit: Unit) -> int:
    return unit.shape[0] if unit.shape else 0


def _own_name(unit: Unit) -> str:
    return unit.segments[-2]


_Shape = tuple[tuple[int, ...], str]


def _by_place(side: Side) -> dict[Region, dict[_Shape, list[Unit]]]:
    """What is left by its index tuples, then by shape and kind of element."""
    found: dict[Region, dict[_Shape, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for unit in side.open():
        if unit.shape is not None:
            found[side.left(unit)][unit.shape, unit.family.dtype.kind].append(unit)
    return found
