"""Two structures -> Diff."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ckptscan.checkpoint import no_collection
from ckptscan.diff.counting import missing_numbers
from ckptscan.diff.facts import facts_of
from ckptscan.diff.files import files
from ckptscan.diff.proof import MOST_PRODUCTS, Proofs
from ckptscan.diff.settings import settings
from ckptscan.diff.values import (
    ADDED,
    AUXILIARY,
    IDENTICAL,
    MOVED,
    PRECEDENCE,
    REMOVED,
    RENAMED,
    UNPROVED,
    Change,
    Diff,
    Evidence,
    Fact,
)
from ckptscan.diff.verdicts import verdicts
from ckptscan.structure import Structure
from ckptscan.structure.match import Container, Known, Match, Region, match

Wanted = Callable[[str], bool]


def compare(
    a: Structure,
    b: Structure,
    wanted: Wanted | None = None,
    layers: Mapping[Container, Known] | None = None,
) -> Diff:
    """What differs between two structures, by headers and by what proves content equal for free.

    `wanted` chooses tensors by their name on either side, after all were matched. `layers` tells
    which layers became which, where that is known (see `structure.match`).
    """
    with no_collection():
        matching = match(a, b, layers)
        proofs = Proofs(a.checkpoint, b.checkpoint)
        matches = matching.matches
        if wanted is not None:
            matches = tuple(part for one in matches for part in _chosen(one, wanted))
        changes = tuple(
            product
            for one in matches
            for change in _changes(one, proofs)
            for product in _products(change)
        )
        missing = missing_numbers(changes, matching)
        found = Diff(
            a,
            b,
            changes,
            settings(a.checkpoint, b.checkpoint),
            files(a.checkpoint, b.checkpoint, proofs),
            missing,
            (),
            matching,
        )
        return Diff(**{**vars(found), "verdicts": verdicts(found, proofs.are_files_equal)})


def _changes(one: Match, proofs: Proofs) -> Iterator[Change]:
    """The changes of a match: several where its tensors are not all equally well proved."""
    if not one.a or not one.b:
        kind = AUXILIARY if one.is_book else REMOVED if one.a else ADDED
        yield Change(kind, one.a, one.b, (), Evidence("books" if one.is_book else ""))
        return
    facts = tuple(facts_of(one))
    evidence = Evidence(one.how, one.rule, one.is_sure, UNPROVED)
    is_book = one.a[0].unit.is_book
    if facts:
        kind = next(kind for kind in PRECEDENCE if any(fact.kind == kind for fact in facts))
        if is_book and kind != RENAMED:
            kind = AUXILIARY
        yield Change(kind, one.a, one.b, facts, evidence)
        return
    for mine, theirs, content, is_moved in proofs.split(one.a[0], one.b[0]):
        kind = MOVED if is_moved else IDENTICAL if content == IDENTICAL else UNPROVED
        moved = (Fact(MOVED),) if is_moved else ()
        yield Change(kind, (mine,), (theirs,), moved, evidence._replace(content=content))


def _products(one: Change) -> Iterator[Change]:
    """A change as several whose indices are products of ranges, where few will do."""
    sides = (*one.a, *one.b)
    regions = sides[0].region.products(MOST_PRODUCTS)
    is_simple = len(one.a) < 2 and len(one.b) < 2 and len({part.region for part in sides}) == 1
    if len(regions) == 1 or not is_simple:
        yield one
        return
    for region in regions:
        a = tuple(part._replace(region=region) for part in one.a)
        yield one._replace(a=a, b=tuple(part._replace(region=region) for part in one.b))


def _chosen(one: Match, wanted: Wanted) -> Iterator[Match]:
    """The tensors of a match of which a name on either side is wanted."""
    if len(one.a) > 1 or len(one.b) > 1 or one.composed:
        if any(wanted(name) for part in (*one.a, *one.b) for name in part.names()):
            yield one
        return
    sides = (*one.a, *one.b)
    both = zip(*(zip(part.region, part.names(), strict=True) for part in sides), strict=True)
    held = [pairs[0][0] for pairs in both if any(wanted(name) for _, name in pairs)]
    if len(held) == len(sides[0].region):
        yield one
    elif held:
        region = Region.of(held, sides[0].region.arity)
        chosen = [part._replace(region=region) for part in sides]
        yield one._replace(a=tuple(chosen[: len(one.a)]), b=tuple(chosen[len(one.a) :]))
