"""A diff by headers, and two sources -> the diff with what the tensors themselves tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ckptscan.checkpoint import no_collection
from ckptscan.content.pairs.fetching import Place
from ckptscan.content.pairs.opening import is_closed, opened, whole
from ckptscan.content.pairs.sampling import MOST, requests_of, sample
from ckptscan.content.pairs.values import SAME, Found, Pair, Reading, Side, Weights, Wish
from ckptscan.content.reading import Nobody, Progress
from ckptscan.diff.aligning import align_by_content
from ckptscan.diff.asking import Asked, Asking, share
from ckptscan.diff.comparing import Wanted, compare
from ckptscan.diff.proof import Proofs
from ckptscan.diff.telling import told
from ckptscan.diff.values import Diff
from ckptscan.diff.verdicts import verdicts
from ckptscan.sources import Fetching, Source
from ckptscan.structure import Structure


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
        places = Place(Side("A", *a)), Place(Side("B", *b))
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
        found = replace(
            diff,
            changes=tuple(told(diff.changes, asked, reading)),
            bytes_read=reading.nbytes,
            bytes_wanted=reading.wanted + sum(one.nbytes for one in asked.values()),
        )
        return replace(found, verdicts=verdicts(found, proofs.are_files_equal))


_Asked = Mapping[int, Asked]


def _read(
    diff: Diff, proofs: Proofs, a: Source, b: Source, wish: Wish, progress: Progress
) -> tuple[_Asked, Reading]:
    """What is asked, and what is found of each pair; keys count all pairs in their order."""
    asking = Asking(diff, proofs, wish.seed)
    is_far = any(isinstance(source, Fetching) for source in (a, b))
    reach = requests_of(wish, asking.files) if is_far else wish.reach.near
    if wish.full:
        asked = asking.everything()
    elif wish.xet:
        asked = asking.some()
    else:
        asked = asking.neighbours(reach) if is_far else asking.some(reach)
    numbered = dict(enumerate(_pairs(asked)))
    if not numbered:
        return asked, Reading({})
    sides = Side("A", a, diff.a), Side("B", b, diff.b)
    places = Place(sides[0]), Place(sides[1])
    plain = {key: pair for key, pair in numbered.items() if isinstance(pair, Pair)}
    others = {key: pair for key, pair in numbered.items() if isinstance(pair, Weights)}
    each = share(reach, plain, others)
    reading = _of_runs(places, plain, wish, each, progress)
    if others:
        reading = reading.plus(_of_matrices(places, others, wish, each, progress, reading.nbytes))
    for place in places:
        place.check()
    return asked, reading


def _pairs(asked: _Asked) -> Iterator[Pair | Weights]:
    for one in asked.values():
        yield from (link.pair for link in one.links if link.pair is not None)


def _of_runs(
    places: tuple[Place, Place],
    pairs: Mapping[int, Pair],
    wish: Wish,
    reach: int,
    progress: Progress,
) -> Reading:
    """What is found of pairs whose elements lie in one order."""
    opens = opened(*places, pairs) if wish.xet else whole(pairs)
    proved = {key: Found(SAME, "xet") for key in pairs if is_closed(key, pairs, opens)}
    left = {key: pair for key, pair in pairs.items() if key not in proved}
    if wish.full:
        from ckptscan.content.pairs.whole import compare_whole

        reading = compare_whole(*places, left, opens, wish, progress)
    else:
        reading = sample(*places, left, opens, wish, reach)
    return reading.plus(Reading(proved))


def _of_matrices(
    places: tuple[Place, Place],
    pairs: Mapping[int, Weights],
    wish: Wish,
    reach: int,
    progress: Progress,
    spent: int,
) -> Reading:
    """What is found of weights whose elements lie in other orders, or are codes."""
    from ckptscan.content.pairs.fitting import compare_weights, sample_weights

    if wish.full:
        return compare_weights(*places, pairs, wish, progress, spent)
    return sample_weights(*places, pairs, wish, reach, spent)
