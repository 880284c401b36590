"""Some blocks of each pair of tensors: what differs is proved, what does not is likely the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ckptscan.content.pairs.bits import compared, rows_of, weighed
from ckptscan.content.pairs.choosing import Opens, choose, chunk_of
from ckptscan.content.pairs.fetching import Place, read_chunks
from ckptscan.content.pairs.values import (
    CHANGED,
    OPEN,
    SAME,
    SAMPLED,
    Chunk,
    Figures,
    Found,
    Pair,
    Reading,
    Wish,
    missed,
)
from ckptscan.sources import Filling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 32 << 20  # bytes of both sides, where nothing else is said
NEAR = 8192  # blocks; a second or two of work
FAR = 1024  # where each is a request for both sides
UNASKED = "no sample was asked for"
BUDGET = "more than was to be read"
ORDER = "its elements may lie in another order"
_CORNER = 16  # rows and columns of a square that are held against each other
_UNLIKE = 0.5  # relative difference from which an order of elements is not believed; 1.41 is chance


def sample(
    a: Place, b: Place, pairs: Mapping[int, Pair], opens: Opens, wish: Wish, spent: int = 0
) -> Reading:
    """What blocks of these pairs say. Raises SourceError that names the side."""
    most = (MOST if wish.most is None else wish.most) - spent
    are_near = all(isinstance(place.side.source, Filling) for place in (a, b))
    blocks = NEAR if are_near else FAR
    chosen = choose(pairs, opens, wish.samples, wish.seed, most, blocks)
    nbytes = sum(chunk.nbytes for chunk in chosen.chunks)
    a.spare = b.spare = (most - nbytes) // 4
    figures: dict[int, list[Figures]] = {}
    for chunk, ours, theirs in read_chunks(a, b, chosen.chunks):
        seen = compared(chunk, ours, theirs)
        if not seen.different and not seen.base:
            seen = seen.plus(weighed(chunk, ours))
        figures.setdefault(chunk.pair, []).append(seen)
    found = {
        key: Found(reason=BUDGET if wish.samples else UNASKED)
        if key in chosen.left
        else judged(pairs[key], opens, key, seen)
        for key in pairs
        for seen in [figures.get(key, [])]
    }
    found |= _reordered(a, b, pairs, found, most - a.nbytes - b.nbytes - a.spare - b.spare)
    wanted = sum(pairs[key].nbytes for key, one in found.items() if one.state in (OPEN, SAMPLED))
    return Reading(found, a.nbytes + b.nbytes, wanted)


def judged(pair: Pair, opens: Opens, key: int, seen: Iterable[Figures]) -> Found:
    """What the figures of some blocks say of a pair."""
    blocks = list(seen)
    total = Figures()
    for one in blocks:
        total = total.plus(one)
    if not pair.units:
        return Found(SAME, "bytes")
    if not total.seen:
        return Found(reason="its elements can't be compared")
    told = Found(CHANGED, "bytes", len(blocks), total.seen, total)
    if total.different:
        is_order_sure = not pair.doubt or total.relative < _UNLIKE or _is_like(blocks)
        return told if is_order_sure else told._replace(state=OPEN, proof="", reason=ORDER)
    still = sum(
        end - start for number in range(len(pair.runs)) for start, end in opens[key, number]
    )
    if total.seen >= still:
        is_partly = still < pair.units
        return told._replace(state=SAME, proof="xet and bytes" if is_partly else "bytes")
    chances = missed(total.seen, len(blocks), still)
    return told._replace(state=SAMPLED, proof="sample", missed=chances)


def _is_like(blocks: Iterable[Figures]) -> bool:
    """Whether some block holds the same numbers on both sides, that are not all zero."""
    return any(not one.different and one.base for one in blocks)


def _reordered(
    a: Place, b: Place, pairs: Mapping[int, Pair], found: Mapping[int, Found], left: int
) -> dict[int, Found]:
    """Pairs that differ in order only: rows within a head, or rows and columns of a square."""
    chunks = []
    for key, one in found.items():
        if one.figures is None or one.figures.relative < _UNLIKE:
            continue
        for chunk in _other_orders(key, pairs[key]):
            if chunk.nbytes <= left:
                left -= chunk.nbytes
                chunks.append(chunk)
    result = {}
    for chunk, ours, theirs in read_chunks(a, b, chunks):
        is_turned = chunk.run.is_turned
        if is_turned:
            is_same = not compared(chunk, ours, theirs).different
        else:
            is_same = have_same_rows(chunk, ours, theirs)
        if is_same:
            is_whole = chunk.a_units == pairs[chunk.pair].units
            told = Found(SAME, "bytes") if is_whole else Found(SAMPLED, "sample")
            result[chunk.pair] = told._replace(
                samples=found[chunk.pair].samples + 1,
                elements=chunk.a_units,
                is_permuted=not is_turned,
                is_turned=is_turned,
            )
    return result


def _other_orders(key: int, pair: Pair) -> Iterator[Chunk]:
    """What has to be read to see another order: all rows of one head, some of a square."""
    run = pair.runs[0]
    if pair.rows:
        yield chunk_of(key, run, 0, pair.rows * run.columns)
    if pair.is_square:
        turned = run._replace(is_turned=True)
        yield chunk_of(key, turned, 0, min(run.columns, _CORNER) * run.columns)


def have_same_rows(chunk: Chunk, ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> bool:
    """Whether both sides hold the same rows, in any order."""
    keys = rows_of(chunk, ours, theirs)
    return keys is not None and Counter(keys[0]) == Counter(keys[1])
