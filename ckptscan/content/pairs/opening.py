"""What of pairs has to be read: all, or what the terms of Xet leave open."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.content.pairs.choosing import Opens
from ckptscan.content.pairs.fetching import Place
from ckptscan.content.pairs.values import Pair, Run
from ckptscan.content.stored import Side, whereabouts
from ckptscan.content.xet import Stretch, Whereabouts


def whole(pairs: Mapping[int, Pair]) -> Opens:
    """All of each run."""
    return {
        (key, number): [(0, run.units)] if run.units else []
        for key, pair in pairs.items()
        for number, run in enumerate(pair.runs)
    }


def is_closed(key: int, pairs: Mapping[int, Pair], opens: Opens) -> bool:
    """Whether nothing of a pair is open, and there is something."""
    pair = pairs[key]
    return bool(pair.units) and not any(opens[key, number] for number in range(len(pair.runs)))


def opened(a: Place, b: Place, pairs: Mapping[int, Pair]) -> Opens:
    """What is not proved equal by where the bytes of both sides are stored."""
    stretches = {
        (key, number): _stretches(a, b, run)
        for key, pair in pairs.items()
        for number, run in enumerate(pair.runs)
        if run.units and not run.is_cast and not run.is_turned
    }
    paths = [sorted({str(pair[at].file[1]) for pair in stretches.values()}) for at in (0, 1)]  # type: ignore[index]
    known = whereabouts(
        Side(a.side.source, paths[0]), Side(b.side.source, paths[1]), list(stretches.values())
    )
    opens = dict(whole(pairs))
    for (key, number), (one, two) in stretches.items():
        width = pairs[key].runs[number].widths[0]
        opens[key, number] = _parts(known.places, one, two, width)
    return opens


def _stretches(a: Place, b: Place, run: Run) -> tuple[Stretch, Stretch]:
    """The bytes of a run in the files of both sides."""
    width = run.widths[0]
    path, start = a.at(run.a, run.a_start * width)
    other, begin = b.at(run.b, run.b_start * width)
    length = run.units * width
    return (
        Stretch(("a", path), start, start + length),
        Stretch(("b", other), begin, begin + length),
    )


def _parts(places: Whereabouts, one: Stretch, two: Stretch, width: int) -> list[tuple[int, int]]:
    """The open parts of a run in whole units."""
    found: list[tuple[int, int]] = []
    for start, end in places.unproved(one, two):
        first, last = start // width, -(-end // width)
        if found and found[-1][1] >= first:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found
