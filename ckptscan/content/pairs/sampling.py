"""Some blocks of each pair of tensors: what differs is proved, what does not is likely the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from ckptscan.content.pairs.bits import compared, rows_of, weighed
from ckptscan.content.pairs.choosing import Chosen, Opens, choose, chunk_of
from ckptscan.content.pairs.fetching import FAR_GAP, Place, read_chunks
from ckptscan.content.pairs.gathering import gather
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
from ckptscan.sources import Fetching

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST = 32 << 20  # bytes of both sides, where nothing else is said
UNASKED = "no sample was asked for"
BUDGET = "more than was to be read"
ORDER = "its elements may lie in another order"
_ORDERS = 8  # of so many requests two are for the order of one pair
_CORNER = 16  # rows and columns of a square that are held against each other
_UNLIKE = 0.5  # relative difference from which an order of elements is not believed; 1.41 is chance


def sample(
    a: Place, b: Place, pairs: Mapping[int, Pair], opens: Opens, wish: Wish, reach: int
) -> Reading:
    """What so many blocks of these pairs say; so many requests where one side lies elsewhere.

    Raises SourceError that names the side.
    """
    most = MOST if wish.most is None else wish.most
    chosen = _chosen(a, b, pairs, opens, wish, most, reach)
    nbytes = sum(chunk.nbytes for chunk in chosen.chunks)
    a.spare = b.spare = (most - nbytes) // 4
    figures = _figures(a, b, chosen)
    found = {
        key: Found(reason=BUDGET if wish.samples else UNASKED)
        if key in chosen.left
        else judged(pairs[key], opens, key, seen)
        for key in pairs
        for seen in [figures.get(key, [])]
    }
    left = most - a.nbytes - b.nbytes - a.spare - b.spare
    orders = reach // _ORDERS if are_far(a, b) else reach
    found |= _reordered(a, b, pairs, found, left, orders)
    wanted = sum(pairs[key].nbytes for key, one in found.items() if one.state in (OPEN, SAMPLED))
    return Reading(found, a.nbytes + b.nbytes, wanted)


def are_far(a: Place, b: Place) -> bool:
    """Whether reading is a request, for one side at least."""
    return any(isinstance(place.side.source, Fetching) for place in (a, b))


def requests_of(wish: Wish, files: int) -> int:
    """How many requests samples may take: as many as reading the headers of these files again."""
    return max(wish.reach.far, 2 * files)


def _chosen(
    a: Place, b: Place, pairs: Mapping[int, Pair], opens: Opens, wish: Wish, most: int, reach: int
) -> Chosen:
    """Blocks of each pair, or of neighbours where each request counts."""
    if not are_far(a, b):
        return choose(pairs, opens, wish.samples, wish.seed, most, reach)
    if not wish.samples or 2 * sum(len(pair.runs) for pair in pairs.values()) <= reach:
        return choose(pairs, opens, wish.samples, wish.seed, most, reach // 2)
    a.gap = b.gap = FAR_GAP
    return gather(a, b, pairs, opens, most // 2, reach - 2 * (reach // _ORDERS))


def _figures(a: Place, b: Place, chosen: Chosen) -> dict[int, list[Figures]]:
    """What the blocks of each pair say."""
    alike: dict[int, list[tuple[Chunk, bytes]]] = {}
    figures: dict[int, list[Figures]] = {}
    for chunk, ours, theirs in read_chunks(a, b, chosen.chunks):
        is_same = ours == theirs and not (chunk.run.is_cast or chunk.run.is_turned)
        if is_same:  # without numpy, which takes 0.1 s to be there
            alike.setdefault(chunk.pair, []).append((chunk, ours))
        else:
            figures.setdefault(chunk.pair, []).append(_seen(chunk, ours, theirs))
    for key, blocks in alike.items():
        is_other = any(one.different for one in figures.get(key, []))
        for chunk, raw in blocks:
            size = weighed(chunk, _array(raw)) if is_other else Figures()
            figures.setdefault(key, []).append(size.plus(Figures(chunk.a_units)))
    return figures


def _seen(chunk: Chunk, ours: bytes, theirs: bytes) -> Figures:
    """How a chunk differs, and where it does not, how large it is."""
    one, two = _array(ours), _array(theirs)
    seen = compared(chunk, one, two)
    return seen if seen.different or seen.base else seen.plus(weighed(chunk, one))


def _array(raw: bytes) -> NDArray[np.uint8]:
    import numpy as np

    return np.frombuffer(raw, "u1")


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
    a: Place, b: Place, pairs: Mapping[int, Pair], found: Mapping[int, Found], left: int, most: int
) -> dict[int, Found]:
    """Pairs that differ in order only: rows within a head, or rows and columns of a square.

    Reads no more than `left` bytes in `most` pieces.
    """
    chunks: list[Chunk] = []
    for key, one in found.items():
        if one.figures is None or one.figures.relative < _UNLIKE:
            continue
        for chunk in _other_orders(key, pairs[key]):
            if chunk.nbytes <= left and len(chunks) < most:
                left -= chunk.nbytes
                chunks.append(chunk)
    result = {}
    for chunk, *raw in read_chunks(a, b, chunks):
        ours, theirs = map(_array, raw)
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
