"""Two structures -> which tensors of the one became which of the other, by headers alone.

Steps from the surest evidence to the least, each taking what the ones before it left: names, rules
of renaming, roles, compositions of roles, shapes. Works on families; no tensor is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckptscan.structure.match.books import is_repacked, match_books
from ckptscan.structure.match.composed import match_composed
from ckptscan.structure.match.exact import match_names
from ckptscan.structure.match.layers import (
    Alignment,
    Container,
    Known,
    align,
    apply,
    containers_of,
    given,
    numbers_in,
)
from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.roles import match_roles
from ckptscan.structure.match.rules import match_rules
from ckptscan.structure.match.shapes import match_modules, match_shapes, match_sums
from ckptscan.structure.match.units import units_of
from ckptscan.structure.match.values import Match, Part, Side, Unit
from ckptscan.structure.summary import Structure

__all__ = [
    "Alignment",
    "Container",
    "Known",
    "Match",
    "Matching",
    "Part",
    "Region",
    "Unit",
    "containers_of",
    "is_repacked",
    "match",
]

# families of a side up to which more than names is looked at; no known model has more than 400
MAX_FAMILIES = 2000


class Matching(NamedTuple):
    """All matches of two structures: every tensor of each is in exactly one."""

    matches: tuple[Match, ...]
    alignments: tuple[Alignment, ...]
    is_by_names_alone: bool = False


def match(
    a: Structure,
    b: Structure,
    layers: Mapping[Container, Known] | None = None,
) -> Matching:
    """The matching of two structures.

    `layers` gives, for a container such as `("model", "layers")`, what somebody knows of which
    layers became which; other containers are aligned by headers.
    """
    ours, theirs = units_of(a), units_of(b)
    alignments = [one for one in align(ours, theirs) if one.container not in (layers or {})]
    for container, known in (layers or {}).items():
        numbers = numbers_in(ours, container), numbers_in(theirs, container)
        alignments.append(given(container, known, *numbers))
    one, two = Side(ours), Side(apply(theirs, alignments))
    found = list(match_names(one, two))
    is_odd = max(len(ours), len(theirs)) > MAX_FAMILIES
    if not is_odd:
        found += match_rules(one, two, least=2)
        found += match_roles(one, two)
        found += match_rules(one, two)
        found += match_composed(one, two)
        found += match_modules(one, two, found)
        found += match_sums(one, two)
        found += match_shapes(one, two)
        found += match_modules(one, two, found)
    found += match_books(one, two, found)
    found += [Match((Part(unit, one.left(unit)),), ()) for unit in ours if len(one.left(unit))]
    found += [Match((), (Part(unit, two.left(unit)),)) for unit in two.units if len(two.left(unit))]
    return Matching(tuple(found), tuple(alignments), is_odd)
