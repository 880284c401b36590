"""Tensors of other names for the same thing: one role, one number, shapes that agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.structure.match.slots import by_slot, is_bias
from ckptscan.structure.match.values import ROLE, Match, Side, Unit

_MOST_ALIKE = 64  # units of one slot; more are no one's role
_TABLES = frozenset({"embedding", "lm_head"})


def match_roles(a: Side, b: Side) -> Iterator[Match]:
    """Matches of tensors that alone on their side have a role, first with their tower too."""
    for has_towers in (True, False):
        ours = by_slot(a, _weights(a), has_towers)
        theirs = by_slot(b, _weights(b), has_towers)
        for slot in ours:
            yield from _paired(a, b, ours[slot], theirs.get(slot, ()))


def _weights(side: Side) -> Iterator[Unit]:
    """Units but biases, which go with their weights."""
    return (unit for unit in side.open() if not is_bias(unit))


def _paired(a: Side, b: Side, some: Sequence[Unit], others: Sequence[Unit]) -> Iterator[Match]:
    """Pairs among units of one slot in which each has but one partner."""
    if max(len(some), len(others)) > _MOST_ALIKE:
        return
    partners: dict[int, list[Unit]] = {}
    for one in some:
        found = [two for two in others if _fits(a, b, one, two)]
        for two in found:
            partners.setdefault(id(two), []).append(one)
        partners[id(one)] = found
    for one in some:
        if len(partners[id(one)]) != 1:
            continue
        (two,) = partners[id(one)]
        if len(partners[id(two)]) == 1:
            common = a.left(one).meet(b.left(two))
            if len(common):
                yield Match((a.take(one, common),), (b.take(two, common),), ROLE)


def _fits(a: Side, b: Side, one: Unit, two: Unit) -> bool:
    if not len(a.left(one).meet(b.left(two))):
        return False
    if one.shape is None or two.shape is None:
        return one.each is not None and one.each == two.each
    if one.shape in (two.shape, two.shape[::-1]):
        return True
    is_table = one.role.name in _TABLES and len(one.shape) == len(two.shape) == 2
    return is_table and one.shape[-1] == two.shape[-1]
