"""Blocks of neighbouring tensors that one request reads, where each request is dear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.content.pairs.choosing import BLOCK, Chosen, Opens, chunk_of
from ckptscan.content.pairs.fetching import FAR_GAP, LONGEST, Place
from ckptscan.content.pairs.values import Chunk, Pair, Run

_WHOLE = 64 << 10  # bytes of a tensor that is read whole: it lies between others


class _Spot(NamedTuple):
    """A chunk and where it lies on both sides: file, first byte, and the byte after the last."""

    a: tuple[str, int, int]
    b: tuple[str, int, int]
    chunk: Chunk


class _Window:
    """Chunks that one range of either side holds."""

    def __init__(self, first: _Spot) -> None:
        self.spots = [first]

    @property
    def pairs(self) -> int:
        """How many pairs have a chunk in it."""
        return len({spot.chunk.pair for spot in self.spots})

    @property
    def paths(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """The files of A and B."""
        return (0, self.spots[0].a[0]), (1, self.spots[0].b[0])

    @property
    def nbytes(self) -> int:
        """Bytes of both ranges."""
        first, last = self.spots[0], self.spots[-1]
        return last.a[2] - first.a[1] + last.b[2] - first.b[1]

    def takes(self, spot: _Spot) -> bool:
        """Whether a chunk lies near enough behind the last one, on both sides."""
        first, last = self.spots[0], self.spots[-1]
        return all(
            one[0] == two[0] and 0 <= two[1] - one[2] <= FAR_GAP and two[2] - start[1] <= LONGEST
            for start, one, two in ((first.a, last.a, spot.a), (first.b, last.b, spot.b))
        )


def gather(
    a: Place, b: Place, pairs: Mapping[int, Pair], opens: Opens, most: int, requests: int
) -> Chosen:
    """Chunks of as many pairs as so many requests may show; a new file costs one more to be found.

    Of each file the window with most tensors comes first.
    """
    spots = sorted(
        _Spot(_place(a, 0, chunk), _place(b, 1, chunk), chunk)
        for key, pair in pairs.items()
        if len(pair.runs) == 1 and not pair.runs[0].is_turned
        for chunk in _ends(key, pair.runs[0], opens[key, 0])
    )
    chunks: list[Chunk] = []
    found: set[tuple[int, str]] = set()
    for window in _in_turn(_windows(spots)):
        cost = 2 + len(set(window.paths) - found)
        if cost <= requests and window.nbytes <= most:
            requests -= cost
            most -= window.nbytes
            found.update(window.paths)
            chunks += [spot.chunk for spot in window.spots]
    return Chosen(tuple(chunks), frozenset(pairs) - {chunk.pair for chunk in chunks})


def _place(place: Place, side: int, chunk: Chunk) -> tuple[str, int, int]:
    row, start, length = chunk.stretches[side]
    path, first = place.at(row, start)
    return path, first, first + length


def _ends(key: int, run: Run, parts: object) -> Iterator[Chunk]:
    """All of a small run, head and tail of a large one; nothing where some of it is proved."""
    if parts != [(0, run.units)]:
        return
    units = max(1, BLOCK // max(run.widths))
    if run.units * max(run.widths) <= _WHOLE or run.units <= 2 * units:
        yield chunk_of(key, run, 0, run.units)
        return
    yield chunk_of(key, run, 0, units)
    yield chunk_of(key, run, run.units - units, units)


def _windows(spots: list[_Spot]) -> Iterator[_Window]:
    held: _Window | None = None
    for spot in spots:
        if held is not None and held.takes(spot):
            held.spots.append(spot)
            continue
        if held is not None:
            yield held
        held = _Window(spot)
    if held is not None:
        yield held


def _in_turn(windows: Iterator[_Window]) -> list[_Window]:
    """The best window of each file, then the second of each."""
    turns: Counter[str] = Counter()
    ranked = []
    for window in sorted(windows, key=lambda one: -one.pairs):
        path = window.spots[0].a[0]
        ranked.append((turns[path], -window.pairs, window))
        turns[path] += 1
    return [window for _, _, window in sorted(ranked, key=lambda one: one[:2])]
