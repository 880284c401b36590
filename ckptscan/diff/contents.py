"""A diff by headers, and two sources -> the diff with what the tensors themselves tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ckptscan.checkpoint import no_collection
from ckptscan.content.pairs import values as pairs
from ckptscan.content.pairs.fetching import Place
from ckptscan.content.pairs.opening import is_closed, opened, whole
from ckptscan.content.pairs.sampling import BUDGET, MOST, requests_of, sample
from ckptscan.content.pairs.values import Found, Pair, Reading, Wish
from ckptscan.content.reading import Nobody, Progress
from ckptscan.diff.aligning import align_by_content
from ckptscan.diff.asking import PACKED, Asked, Asking, narrowed
from ckptscan.diff.comparing import Wanted, compare
from ckptscan.diff.pairs import whole_of
from ckptscan.diff.proof import Proofs
from ckptscan.diff.values import (
    AUXILIARY,
    CONTENT,
    IDENTICAL,
    MOVED,
    PRECEDENCE,
    RESTRUCTURED,
    UNPROVED,
    Change,
    Diff,
    Fact,
)
from ckptscan.diff.verdicts import verdicts
from ckptscan.sources import Fetching, Source
from ckptscan.structure import Structure
from ckptscan.structure.match import Region
from ckptscan.structure.match.regions import Indices

PERMUTED = "rows permuted, as layouts of rotary embeddings are"
_Key = tuple[object, ...]


def compare_tensors(
    a: tuple[Source, Structure],
    b: tuple[Source, Structure],
    wanted: Wanted | None = None,
    wish: Wish | None = None,
    progress: Progress | None = None,
) -> Diff:
    """What differs between two checkpoints, by headers and by what reading tensors tells.

    Layers that headers do not tell apart are told apart by their norms. Raises SourceError that
    names the side.
    """
    wish = wish or Wish()
    diff = compare(a[1], b[1], wanted)
    if any(one.checkpoint.origin.packed for one in (a[1], b[1])) or not _asks(wish):
        return with_content(diff, a[0], b[0], wish, progress)
    if any(not one.is_sure for one in diff.layers):
        places = Place(pairs.Side("A", *a)), Place(pairs.Side("B", *b))
        most = MOST if wish.most is None else wish.most
        layers = align_by_content(diff, *places, most // 4)
        diff = compare(a[1], b[1], wanted, layers) if layers else diff
        spent = sum(place.nbytes for place in places)
        if wish.most is not None or not wish.full:
            wish = wish._replace(most=max(0, most - spent))
    return with_content(diff, a[0], b[0], wish, progress)


def _asks(wish: Wish) -> bool:
    return bool(wish.samples or wish.full or wish.xet)


def with_content(
    diff: Diff,
    a: Source,
    b: Source,
    wish: Wish | None = None,
    progress: Progress | None = None,
) -> Diff:
    """The diff with what reading tells of content that headers and digests leave open.

    `a` and `b` are the sources that both sides came from. Raises SourceError that names the side.
    """
    wish = wish or Wish()
    if not _asks(wish):
        return diff
    with no_collection():
        proofs = Proofs(diff.a.checkpoint, diff.b.checkpoint)
        asked, reading = _read(diff, proofs, a, b, wish, progress or Nobody())
        changes = tuple(_merged(diff.changes, asked, reading))
        left = sum(_nbytes(one.left) for one in asked.values() if one.left and one.reason == BUDGET)
        found = replace(
            diff,
            changes=changes,
            bytes_read=reading.nbytes,
            bytes_wanted=reading.wanted + left,
        )
        return replace(found, verdicts=verdicts(found, proofs.are_files_equal))


_Asked = Mapping[int, Asked]


def _nbytes(change: Change) -> int:
    """Bytes of both sides."""
    return sum(part.nbytes for part in (*change.a, *change.b))


def _read(
    diff: Diff, proofs: Proofs, a: Source, b: Source, wish: Wish, progress: Progress
) -> tuple[_Asked, Reading]:
    """What is asked, and what is found of each pair; keys count all pairs in their order."""
    asking = Asking(diff, proofs, wish.seed)
    sides = pairs.Side("A", a, diff.a), pairs.Side("B", b, diff.b)
    is_far = any(isinstance(source, Fetching) for source in (a, b))
    if wish.full or wish.xet:
        asked = asking.everything()
    elif is_far:
        asked = asking.neighbours(requests_of(wish, asking.files))
    else:
        asked = asking.some(wish.reach.near)
    numbered = dict(enumerate(_pairs(asked)))
    if not numbered:
        return asked, Reading({})
    places = Place(sides[0]), Place(sides[1])
    opens = opened(*places, numbered) if wish.xet else whole(numbered)
    proved = {key: Found(pairs.SAME, "xet") for key in numbered if is_closed(key, numbered, opens)}
    left = {key: pair for key, pair in numbered.items() if key not in proved}
    if wish.full:
        from ckptscan.content.pairs.whole import compare_whole

        reading = compare_whole(*places, left, opens, wish, progress)
    else:
        reading = sample(*places, left, opens, wish, asking.files)
    for place in places:
        place.check()
    return asked, reading._replace(found={**reading.found, **proved})


def _pairs(asked: _Asked) -> Iterator[Pair]:
    for one in asked.values():
        yield from (link.pair for link in one.links if link.pair is not None)


def _merged(changes: Sequence[Change], asked: _Asked, reading: Reading) -> Iterator[Change]:
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
    orders = found.is_permuted, found.is_turned
    return found.state, found.proof, found.reason, is_low, *orders, found.is_tolerated


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
    chances = [one.missed for one in found if one.missed is not None]
    ranks = [one.rank for one in found if one.rank is not None]
    return first._replace(
        figures=figures,
        samples=sum(one.samples for one in found),
        elements=sum(one.elements for one in found),
        missed=tuple(map(max, zip(*chances, strict=True))) if chances else None,
        rank=max(ranks) if ranks else None,
    )


__all__ = ["MOVED", "PACKED", "PERMUTED", "with_content"]
