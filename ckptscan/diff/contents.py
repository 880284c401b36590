"""A diff by headers, and two sources -> the diff with what the tensors themselves tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ckptscan.checkpoint import no_collection
from ckptscan.content.pairs import values as pairs
from ckptscan.content.pairs.fetching import Place
from ckptscan.content.pairs.fitting import compare_weights, sample_weights
from ckptscan.content.pairs.opening import is_closed, opened, whole
from ckptscan.content.pairs.sampling import MOST, ORDER, sample
from ckptscan.content.pairs.values import Found, Pair, Reading, Weights, Wish
from ckptscan.content.pairs.whole import compare_whole
from ckptscan.content.reading import Nobody, Progress
from ckptscan.diff.aligning import align_by_content
from ckptscan.diff.comparing import Wanted, compare
from ckptscan.diff.pairs import linked
from ckptscan.diff.proof import Proofs
from ckptscan.diff.rows import Linked, Rows
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
from ckptscan.sources import Source
from ckptscan.structure import Structure
from ckptscan.structure.match import Part, Region, containers_of

PACKED = "a header pack holds no tensors"
_PREPARED = 256  # packed weights of one pattern of which samples are read; more would take long
NUMBERS = "which layer or expert it was is open"
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
        rows = Rows(diff.a), Rows(diff.b)
        most = None if wish.full else _PREPARED
        asked = {
            number: links
            for number, change in enumerate(diff.changes)
            if (links := _links(diff, number, change, rows, most)) is not None
        }
        reading = _read(diff, asked, a, b, wish, progress or Nobody())
        changes = tuple(_merged(diff.changes, asked, reading))
        found = replace(
            diff, changes=changes, bytes_read=reading.nbytes, bytes_wanted=reading.wanted
        )
        proofs = Proofs(diff.a.checkpoint, diff.b.checkpoint)
        return replace(found, verdicts=verdicts(found, proofs.are_files_equal))


_Asked = Mapping[int, Sequence[Linked]]


def _links(
    diff: Diff, number: int, change: Change, rows: tuple[Rows, Rows], most: int | None
) -> Sequence[Linked] | None:
    """The pairs of a change whose content is open; None where it is not, or there is one side."""
    if not change.a or not change.b or change.evidence.content != UNPROVED:
        return None
    if any(side.checkpoint.origin.packed for side in (diff.a, diff.b)):
        whole = change.a if len(change.a) == 1 else change.b
        return [Linked(indices, None, PACKED) for indices in whole[0].region]
    heads = {one.head_dim for one in diff.a.attention if one.head_dim}
    found = linked(change, number, *rows, heads.pop() if len(heads) == 1 else 0, most)
    return list(map(_doubted, found)) if _are_numbers_open(diff, change) else found


def _are_numbers_open(diff: Diff, change: Change) -> bool:
    """Whether nothing tells which layer, or expert, of A a tensor of B belongs to."""
    opened = {one.a for one in diff.layers if not one.is_sure}
    held = {".".join(container) for _, container in containers_of(change.a[0].unit)}
    return not opened.isdisjoint(held)


def _doubted(one: Linked) -> Linked:
    """The same, other elements proving nothing."""
    if one.pair is None:
        return one
    return one._replace(pair=one.pair._replace(doubt=True), reason=NUMBERS)


def _read(
    diff: Diff, asked: _Asked, a: Source, b: Source, wish: Wish, progress: Progress
) -> Reading:
    """What is found of each pair; keys count all pairs in the order of the changes."""
    numbered = dict(enumerate(_pairs(asked)))
    if not numbered:
        return Reading({}, 0, sum(one.nbytes for links in asked.values() for one in links))
    sides = pairs.Side("A", a, diff.a), pairs.Side("B", b, diff.b)
    places = Place(sides[0]), Place(sides[1])
    plain = {key: pair for key, pair in numbered.items() if isinstance(pair, Pair)}
    others = {key: pair for key, pair in numbered.items() if isinstance(pair, Weights)}
    opens = opened(*places, plain) if wish.xet else whole(plain)
    proved = {key: Found(pairs.SAME, "xet") for key in plain if is_closed(key, plain, opens)}
    left = {key: pair for key, pair in plain.items() if key not in proved}
    if wish.full:
        reading = compare_whole(*places, left, opens, wish, progress)
        more = compare_weights(*places, others, wish, progress, reading.nbytes)
    else:
        reading = sample(*places, left, opens, wish)
        more = sample_weights(*places, others, wish, reading.nbytes)
    for place in places:
        place.check()
    found = {**reading.found, **more.found, **proved}
    left_out = sum(one.nbytes for links in asked.values() for one in links)
    wanted = reading.wanted + more.wanted + left_out
    return Reading(found, reading.nbytes + more.nbytes, wanted)


def _pairs(asked: _Asked) -> Iterator[Pair | Weights]:
    for links in asked.values():
        yield from (one.pair for one in links if one.pair is not None)


def _merged(changes: Sequence[Change], asked: _Asked, reading: Reading) -> Iterator[Change]:
    """The changes with what was found; several where not all tensors of one are alike."""
    reached = 0
    for number, change in enumerate(changes):
        if number not in asked:
            yield change
            continue
        together: dict[_Key, list[tuple[tuple[int, ...], Found]]] = {}
        for one in asked[number]:
            found = Found(reason=one.reason)
            if one.pair is not None:
                found = reading.found[reached]
                if found.reason == ORDER and one.reason:
                    found = found._replace(reason=one.reason)
                reached += 1
            together.setdefault(_key(found), []).append((one.indices, found))
        for some in together.values():
            yield _told(_narrowed(change, some, len(together) == 1), some)


def _key(found: Found) -> _Key:
    """What tensors have in common that are told together."""
    is_low = found.rank is not None
    is_scaled = found.fit is not None and found.fit.is_scaled
    flags = is_low, found.is_permuted, found.is_turned, found.is_tolerated, is_scaled
    return found.state, found.proof, found.reason, *flags


def _narrowed(
    change: Change, some: Sequence[tuple[tuple[int, ...], Found]], is_all: bool
) -> Change:
    """The tensors of a change at some indices."""
    if is_all:
        return change
    whole = change.a if len(change.a) == 1 else change.b
    region = Region.of((indices for indices, _ in some), whole[0].region.arity)
    a = tuple(_within(part, region) for part in change.a)
    return change._replace(a=a, b=tuple(_within(part, region) for part in change.b))


def _within(part: Part, region: Region) -> Part:
    if part.region.arity == region.arity:
        return part._replace(region=region)
    members = frozenset(region)
    held = [indices for indices in part.region if indices[: region.arity] in members]
    return part._replace(region=Region.of(held, part.region.arity))


def _told(change: Change, some: Sequence[tuple[tuple[int, ...], Found]]) -> Change:
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


__all__ = ["MOVED", "PACKED", "PERMUTED", "with_content"]
