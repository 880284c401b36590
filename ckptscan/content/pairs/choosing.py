"""Which blocks of which pairs are read, so that the bytes stay within what is allowed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ckptscan.content.pairs.values import Chunk, Pair, Run, Weights

Parts = Sequence[tuple[int, int]]  # starts and ends in a run, in units
Opens = Mapping[tuple[int, int], Parts]  # by pair and number of the run: what is not proved yet
BLOCK = 4096  # bytes of a block of one side
_SMALLEST = 512
_MANY = 3  # runs of a pair up to which each has all samples


class Level(NamedTuple):
    """How many blocks of each run, and how many bytes each."""

    blocks: int
    nbytes: int


class Chosen(NamedTuple):
    """The chunks of the pairs that the budget allows, and the pairs that are left out."""

    chunks: tuple[Chunk, ...]
    left: frozenset[int]


def choose(
    pairs: Mapping[int, Pair], opens: Opens, samples: int, seed: int, most: int, requests: int
) -> Chosen:
    """As many blocks of each pair as were asked for; fewer and smaller ones, if that is too much.

    Where even the smallest are too many, some pairs of each group come first.
    """
    if not samples:
        return Chosen((), frozenset(pairs))
    levels = [Level(samples, BLOCK), Level(2, BLOCK), Level(2, 1024), Level(1, _SMALLEST)]
    is_hopeless = sum(len(pair.runs) for pair in pairs.values()) > requests
    for level in (one for one in levels if one.blocks <= samples and not is_hopeless):
        every = (chunk for key in pairs for chunk in _chunks(key, pairs[key], opens, level, seed))
        found = tuple(islice(every, requests + 1))
        if sum(one.nbytes for one in found) <= most and len(found) <= requests:
            return Chosen(found, frozenset())
    chosen: list[Chunk] = []
    left = set()
    for key in in_turn(pairs, seed):
        if len(chosen) + len(pairs[key].runs) > requests or not most:
            left.add(key)
            continue
        chunks = list(_chunks(key, pairs[key], opens, Level(1, _SMALLEST), seed))
        nbytes = sum(one.nbytes for one in chunks)
        if nbytes <= most and len(chosen) + len(chunks) <= requests:
            most -= nbytes
            chosen += chunks
        else:
            left.add(key)
    return Chosen(tuple(chosen), frozenset(left))


def in_turn(pairs: Mapping[int, Pair | Weights], seed: int) -> Iterator[int]:
    """The pairs so that those of one group lie far apart."""
    groups: dict[int, list[int]] = {}
    for key, pair in pairs.items():
        groups.setdefault(pair.group, []).append(key)
    for group, keys in groups.items():
        random.Random(f"{seed}:{group}").shuffle(keys)
    while groups:
        for group in list(groups):
            yield groups[group].pop()
            if not groups[group]:
                del groups[group]


def _chunks(key: int, pair: Pair, opens: Opens, level: Level, seed: int) -> Iterator[Chunk]:
    if len(pair.runs) > _MANY:
        level = level._replace(blocks=1)
    for number, run in enumerate(pair.runs):
        draw = random.Random(f"{seed}:{key}:{number}")
        if run.is_turned:
            yield from _crossed(key, run, level, draw)
            continue
        for start, units in _blocks(run, opens[key, number], level, draw):
            yield chunk_of(key, run, start, units)


def chunk_of(key: int, run: Run, start: int, units: int) -> Chunk:
    """Elements from a place in a run that is not turned."""
    return Chunk(key, run, run.a_start + start, units, run.b_start + start, units)


def _blocks(run: Run, parts: Parts, level: Level, draw: random.Random) -> Iterator[tuple[int, int]]:
    """Head, tail and some blocks in between of what is open of a run; all if that is little."""
    size = max(1, level.nbytes // max(run.widths))
    if run.is_table and run.columns * max(run.widths) <= 4 * level.nbytes:
        size = max(1, size // run.columns) * run.columns
    total = sum(end - start for start, end in parts)
    if total <= size * level.blocks:
        yield from ((start, end - start) for start, end in parts)
        return
    slots = -(-total // size)
    wanted = {0, slots - 1} if level.blocks > 1 else {draw.randrange(slots)}
    while len(wanted) < level.blocks:
        wanted.add(draw.randrange(slots))
    for slot in sorted(wanted):
        yield from _cut(parts, slot * size, min((slot + 1) * size, total))


def _cut(parts: Parts, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch of all parts, laid one after the other, as stretches of the run."""
    reached = 0
    for first, last in parts:
        low, high = max(start, reached), min(end, reached + last - first)
        if low < high:
            yield first + low - reached, high - low
        reached += last - first


def _crossed(key: int, run: Run, level: Level, draw: random.Random) -> Iterator[Chunk]:
    """Rows of A and rows of B that cross; the whole where that is little."""
    columns, rows = run.columns, run.units // run.columns
    if run.nbytes <= 4 * level.nbytes * level.blocks:
        yield Chunk(key, run, run.a_start, run.units, run.b_start, run.units)
        return
    ours = max(1, min(rows, level.nbytes // (columns * run.widths[0])))
    theirs = max(1, min(columns, level.nbytes // (rows * run.widths[1])))
    for _ in range(level.blocks):
        top, left = draw.randrange(rows - ours + 1), draw.randrange(columns - theirs + 1)
        a_start, b_start = run.a_start + top * columns, run.b_start + left * rows
        yield Chunk(key, run, a_start, ours * columns, b_start, theirs * rows)
