"""Changes by headers, and what reading their tensors found -> the changes with both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ckptscan.content.pairs import values as pairs
from ckptscan.content.pairs.sampling import ORDER
from ckptscan.content.pairs.values import Found, Reading
from ckptscan.diff.asking import Asked, narrowed
from ckptscan.diff.rows import whole_of
from ckptscan.diff.values import (
    AUXILIARY,
    CONTENT,
    IDENTICAL,
    PRECEDENCE,
    RESTRUCTURED,
    UNPROVED,
    Change,
    Fact,
)
from ckptscan.structure.match import Region
from ckptscan.structure.match.regions import Indices

PERMUTED = "rows permuted, as layouts of rotary embeddings are"
_Key = tuple[object, ...]


def told(
    changes: Sequence[Change], asked: Mapping[int, Asked], reading: Reading
) -> Iterator[Change]:
    """The changes with what was found; several where not all tensors of one are alike."""
    reached = 0
    for number, change in enumerate(changes):
        if number not in asked:
            yield change
            continue
        together: dict[_Key, list[tuple[Indices, Found]]] = {}
        one = asked[number]
        for link in one.links:
            found = Found(reason=link.reason)
            if link.pair is not None:
                found = reading.found[reached]
                if found.reason == ORDER and link.reason:
                    found = found._replace(reason=link.reason)
                reached += 1
            together.setdefault(_key(found), []).append((link.indices, found))
        unseen = Found(reason=one.reason)
        left = together.pop(_key(unseen), [])
        for some in together.values():
            yield _told(narrowed(one.change, _region(change, some)), some)
        yield from _unseen(change, one.left, left, unseen)


def _region(change: Change, some: Iterable[tuple[Indices, Found]]) -> Region:
    return Region.of((indices for indices, _ in some), whole_of(change).region.arity)


def _unseen(
    change: Change,
    left: Change | None,
    some: Sequence[tuple[Indices, Found]],
    found: Found,
) -> Iterator[Change]:
    """What of a change was not looked at, before the pairs were made or after."""
    region = _region(change, some)
    if left is not None:
        held = whole_of(left).region
        region = Region.of((*region, *held), region.arity) if some else held
    if len(region):
        yield _told(narrowed(change, region), [((), found)])


def _key(found: Found) -> _Key:
    """What tensors have in common that are told together."""
    is_low = found.rank is not None
    is_scaled = found.fit is not None and found.fit.is_scaled
    flags = is_low, found.is_permuted, found.is_turned, found.is_tolerated, is_scaled
    return found.state, found.proof, found.reason, *flags


def _told(change: Change, some: Sequence[tuple[Indices, Found]]) -> Change:
    """A change with what was found of its tensors, which are alike."""
    found = _together([one for _, one in some])
    facts = list(change.facts)
    if found.is_permuted:
        facts.append(Fact(RESTRUCTURED, how=PERMUTED))
    if found.is_turned:
        facts.append(Fact(RESTRUCTURED, how="transposed"))
    if found.state == pairs.CHANGED:
        facts.append(Fact(CONTENT))
    content = found.state
    if content == pairs.SAME and found.proof == "":
        content = UNPROVED
    evidence = change.evidence._replace(content=content, found=found)
    kinds = {fact.kind for fact in facts}
    kind = next((one for one in PRECEDENCE if one in kinds), None)
    if kind is None:
        kind = IDENTICAL if content == IDENTICAL else UNPROVED
    if change.kind == AUXILIARY:
        kind = AUXILIARY
    return change._replace(kind=kind, facts=tuple(facts), evidence=evidence)


def _together(found: Sequence[Found]) -> Found:
    """What was found of several tensors: figures and samples of all, the worst chance."""
    first, *others = found
    figures = first.figures
    for one in others:
        if figures is not None and one.figures is not None:
            figures = figures.plus(one.figures)
    fit = first.fit
    for one in others:
        fit = fit.plus(one.fit) if fit is not None and one.fit is not None else fit
    chances = [one.missed for one in found if one.missed is not None]
    ranks = [one.rank for one in found if one.rank is not None]
    return first._replace(
        figures=figures,
        fit=fit,
        samples=sum(one.samples for one in found),
        elements=sum(one.elements for one in found),
        missed=tuple(map(max, zip(*chances, strict=True))) if chances else None,
        rank=max(ranks) if ranks else None,
    )
