"""Renames by rule: pairs of names that differ in a few segments vote for what was replaced.

`model.layers.*.mlp.up_proj.weight` and `model.language_model.layers.*.mlp.up_proj.weight` of one
shape vote for `model. -> model.language_model.`; the rule with the most tensors is applied first,
then those that are left vote again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.structure.match.exact import same_named
from ckptscan.structure.match.values import RULE, Match, Side, Unit

_MOST_RULES = 32
_MOST_UNITS = 2000  # of a side; more are no model
_MOST_CANDIDATES = 12  # of one name; more say nothing
_LEAVES = frozenset({"weight", "bias", "scale", "gamma", "beta"})

Segments = tuple[str, ...]


class Rule(NamedTuple):
    """Segments that are replaced by others, where they first stand or only at the start."""

    before: Segments
    after: Segments
    at_start: bool

    def renamed(self, segments: Segments) -> Segments:
        """A name after the rule; as it is where the rule does not apply."""
        size = len(self.before)
        places = range(1 if self.at_start else max(0, len(segments) - size + 1))
        for place in places:
            if segments[place : place + size] == self.before:
                return (*segments[:place], *self.after, *segments[place + size :])
        return segments

    def __str__(self) -> str:
        before, after = ("".join(f"{one}." for one in side) for side in (self.before, self.after))
        if not before:
            return f"prefix {after} added"
        return f"{before} -> {after}" if after else f"prefix {before} dropped"


def match_rules(a: Side, b: Side, least: int = 1) -> Iterator[Match]:
    """Matches by the rules that the names vote for, the rule with the most tensors first.

    A rule needs the votes of `least` families.
    """
    tried: set[Rule] = set()
    ours, theirs = list(a.open()), list(b.open())
    if max(len(ours), len(theirs)) > _MOST_UNITS:
        return
    waiting = list(_votes(a, b, ours, theirs))
    for _ in range(_MOST_RULES):
        waiting = [vote for vote in waiting if len(a.left(vote.one)) and len(b.left(vote.two))]
        tensors: Counter[Rule] = Counter()
        voters: Counter[Rule] = Counter()
        for vote in waiting:
            tensors[vote.rule] += vote.tensors
            voters[vote.rule] += 1
        rules = [rule for rule in tensors if rule not in tried and voters[rule] >= least]
        if not rules:
            return
        rule = max(rules, key=lambda one: (tensors[one], -len(one.before) - len(one.after), one))
        tried.add(rule)
        for one, two in same_named(a, b, list(a.open()), list(b.open()), rule.renamed):
            yield Match((one,), (two,), RULE, str(rule))


class _Vote(NamedTuple):
    """Two families that would be one under a rule, and how many tensors they share."""

    rule: Rule
    one: Unit
    two: Unit
    tensors: int


def _votes(a: Side, b: Side, ours: list[Unit], theirs: list[Unit]) -> Iterator[_Vote]:
    """What pairs of names say; of names with very many partners, nothing."""
    by_tail: dict[object, list[Unit]] = defaultdict(list)
    for unit in theirs:
        by_tail[_tail(unit)].append(unit)
    free_a, free_b = _has_one_tower(a.units), _has_one_tower(b.units)
    for one in ours:
        candidates = by_tail.get(_tail(one), ())
        if len(candidates) > _MOST_CANDIDATES:
            continue
        for two in candidates:
            is_near = one.tower == two.tower or free_a or free_b
            common = a.left(one).meet(b.left(two)) if is_near else None
            if common is not None and len(common) and one.segments != two.segments:
                yield _Vote(rule_of(one.segments, two.segments), one, two, len(common))


def _has_one_tower(units: list[Unit]) -> bool:
    return len({unit.tower for unit in units}) == 1


def _tail(unit: Unit) -> object:
    """What a pair must share: the module's own name and the leaf, the shape, the indices."""
    size = 2 if unit.leaf in _LEAVES else 1
    return unit.segments[-size:], unit.shape or unit.each, unit.stars


def rule_of(one: Segments, two: Segments) -> Rule:
    """The rule that makes one name the other, as short as it can be told."""
    end = 0
    while end < min(len(one), len(two)) and one[-1 - end] == two[-1 - end]:
        end += 1
    start, longest = 0, min(len(one), len(two)) - end
    while start < longest and one[start] == two[start]:
        start += 1
    before, after = one[start : len(one) - end], two[start : len(two) - end]
    if before and after:
        return Rule(before, after, at_start=False)
    context = one[max(0, start - 1) : start]
    return Rule((*context, *before), (*context, *after), at_start=start <= 1)
