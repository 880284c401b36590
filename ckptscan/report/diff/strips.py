"""Layers of A above those of B, each in its place; what is cut out, inserted, changed is marked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from ckptscan.diff import Diff
from ckptscan.diff.layering import (
    CHANGED,
    CUT,
    INSERTED,
    KEPT,
    Beside,
    Pair,
    layers_beside,
)
from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.report.html.layers import of_one
from ckptscan.report.html.markup import Child, Markup, element, joined, name
from ckptscan.report.html.pictures import legend, swatch
from ckptscan.report.html.strip import MOST_LAYERS, Layer, drawn
from ckptscan.report.html.tables import columns, table
from ckptscan.structure import Layers

_LOOKS = {KEPT: ("=", 7), CHANGED: ("~", 3), CUT: ("-", 1), INSERTED: ("+", 2)}
_HEADS = columns("what became of them", "layers of A", "layers of B", "#tensors", "changes")
_MOST_STRIPS = 12


def strips(diff: Diff) -> Markup | None:
    """A pair of strips for each container in which something differs; None where none does."""
    found = [one for one in layers_beside(diff) if any(map(_differs, one.pairs))]
    if not found:
        return None
    fills = _fills(diff)
    more = len(found) - _MOST_STRIPS
    rest = f"and {words.plural(more, 'more container')} of layers that differ"
    return joined(
        [
            legend([(words.label(dtype), fill) for dtype, fill in fills.items()]),
            legend([(f"{letter} {state}", fill) for state, (letter, fill) in _LOOKS.items()]),
            *(_beside(one, fills) for one in found[:_MOST_STRIPS]),
            element("p", rest, class_="quiet") if more > 0 else None,
        ]
    )


def _differs(pair: Pair) -> bool:
    return pair.state != KEPT or pair.a != pair.b


def _fills(diff: Diff) -> dict[str, int]:
    dtypes = dict.fromkeys(use.dtype for side in (diff.a, diff.b) for use in side.dtypes)
    return {dtype: fill for fill, dtype in enumerate(dtypes)}


def _beside(one: Beside, fills: Mapping[str, int]) -> Markup:
    held = [side for side in (one.a, one.b) if side is not None]
    named = list(dict.fromkeys(side.container for side in held))
    heading = joined(map(name, named), " -> ")
    caption = f"Layers of {words.label(' and '.join(named))}"
    sides: list[Markup] = []
    if len(one.pairs) <= MOST_LAYERS:
        sizes = [_sizes(side) for side in (one.a, one.b)]
        largest = max(sum(dtypes.values()) for side in sizes for dtypes in side.values())
        for letter, side, held_by in (("A", one.a, sizes[0]), ("B", one.b, sizes[1])):
            if side is not None:
                label = (
                    f"{words.plural(side.count, 'layer')} of {letter}; the table below tells all"
                )
                layers = list(_layers(one.pairs, letter, held_by))
                picture = drawn(layers, len(one.pairs), largest, fills, label)
                sides.append(element("figure", element("figcaption", letter), picture))
    return joined([element("h3", heading), *sides, table(caption, _HEADS, _rows(one.pairs))])


def _sizes(layers: Layers | None) -> dict[int, dict[str, int]]:
    """Bytes of each layer by dtype."""
    kinds = layers.kinds if layers is not None else ()
    told = ((kind, of_one(kind)) for kind in kinds)
    return {number: dtypes for kind, dtypes in told for number in kind.indices}


def _layers(
    pairs: Sequence[Pair], side: str, sizes: Mapping[int, Mapping[str, int]]
) -> Iterator[Layer]:
    marked = _marked(pairs)
    for place, pair in enumerate(pairs):
        number = pair.a if side == "A" else pair.b
        if number is not None:
            letter, fill = _LOOKS[pair.state]
            told = f"{_numbered(pair)}: {pair.state}, {words.nbytes(sum(sizes[number].values()))}"
            if pair.changes:
                told = f"{told}, {_counts(pair.changes)}"
            yield Layer(place, number, sizes[number], letter, fill, told, pair.state in marked)


def _marked(pairs: Sequence[Pair]) -> frozenset[str]:
    """The states that a mark tells; layers that changed are no exception where most did."""
    changed = sum(pair.state == CHANGED for pair in pairs)
    return frozenset({CUT, INSERTED} if 2 * changed > len(pairs) else {CUT, INSERTED, CHANGED})


def _numbered(pair: Pair) -> str:
    """`17 -> 20`, `17 in both`, `17 of A`."""
    if pair.a is None or pair.b is None:
        return f"{pair.a} of A" if pair.b is None else f"{pair.b} of B"
    return f"{pair.a} in both" if pair.a == pair.b else f"{pair.a} -> {pair.b}"


def _counts(changes: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in changes.items())


def _rows(pairs: Sequence[Pair]) -> Iterator[tuple[Child, ...]]:
    """A row for each run of layers of which the same is to be told."""
    for (state, *_), run in groupby(pairs, _alike):
        some = list(run)
        letter, fill = _LOOKS[state]
        changes: dict[str, int] = {}
        for pair in some:
            for kind, count in pair.changes.items():
                changes[kind] = changes.get(kind, 0) + count
        yield (
            joined([swatch(fill), f" {letter} {state}"]),
            _indices(pair.a for pair in some),
            _indices(pair.b for pair in some),
            f"{sum(changes.values()):,}",
            _counts(changes),
        )


def _alike(pair: Pair) -> tuple[str, int | None, tuple[str, ...]]:
    """What layers of one row share: state, by how much their numbers differ, kinds of change."""
    shift = pair.b - pair.a if pair.a is not None and pair.b is not None else None
    return pair.state, shift, tuple(pair.changes)


def _indices(numbers: Iterator[int | None]) -> Markup:
    held = IndexSet.of(number for number in numbers if number is not None)
    return element("span", words.indices(held) or "-", class_="whole")
