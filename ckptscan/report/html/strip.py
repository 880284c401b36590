"""A strip of layers: a column a layer, as high as its bytes, in the colours of its dtypes.

Below the columns stands a band with a letter for each run of alike ones; above them a line and
their numbers where layers are marked. So an odd layer is seen without any colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element
from ckptscan.report.html.pictures import fill_of, percent

MOST_LAYERS = 512  # columns of a strip
_TOP = 18  # pixels above the columns, for marks
_HIGH = 72  # of the largest layer
_BAND, _GAP = 18, 4  # of the letters below the columns
_AXIS = 16  # of the first and the last number
_FOOT = _TOP + _HIGH + _GAP
_LEAST = 40  # a letter stands where its run is no narrower than one part in so many


class Layer(NamedTuple):
    """A column: its place and number, bytes of each dtype, the letter and fill of its band.

    `told` is said of it when it is pointed at; `is_marked` where it differs from the others.
    """

    place: int
    number: int
    dtypes: Mapping[str, int]
    letter: str
    fill: int
    told: str
    is_marked: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the layer."""
        return sum(self.dtypes.values())


def drawn(
    layers: Sequence[Layer], places: int, largest: int, fills: Mapping[str, int], label: str
) -> Markup:
    """The strip of layers among so many places; `fills` are those of the dtypes.

    `largest` is the bytes of a layer that is as high as the strip.
    """
    columns = (_column(layer, places, max(1, largest), fills) for layer in layers)
    return element(
        "svg",
        *columns,
        *_letters(layers, places),
        *_marks(layers, places),
        *_axis(layers, places),
        class_="strip",
        height=_FOOT + _BAND + _AXIS,
        role="img",
        aria_label=label,
    )


def _column(layer: Layer, places: int, largest: int, fills: Mapping[str, int]) -> Markup:
    at = {"x": percent(layer.place, places), "width": percent(9, 10 * places)}
    band = element("rect", **at, y=_FOOT, height=_BAND, fill=fill_of(layer.fill))
    mark = element("rect", **at, y=_TOP - 4, height=3, class_="ink") if layer.is_marked else None
    pieces = _pieces(layer, largest, at, fills)
    return element("g", element("title", layer.told), *pieces, band, mark)


def _pieces(
    layer: Layer, largest: int, at: Mapping[str, str], fills: Mapping[str, int]
) -> Iterator[Markup]:
    """The dtypes of a layer from the bottom up; what is there is at least a pixel high."""
    below = _TOP + _HIGH
    for dtype, nbytes in sorted(layer.dtypes.items(), key=lambda pair: fills[pair[0]]):
        if not nbytes:
            continue
        high = min(below - _TOP, max(1, nbytes * _HIGH // largest))
        below -= high
        yield element("rect", **at, y=below, height=high, fill=fill_of(fills[dtype]))


def _runs(layers: Sequence[Layer]) -> Iterator[list[Layer]]:
    """Layers side by side, without a gap between them, that have one letter."""
    numbered = enumerate(layers)
    alike = groupby(
        numbered, lambda pair: (pair[1].letter, pair[1].is_marked, pair[1].place - pair[0])
    )
    for _, run in alike:
        yield [layer for _, layer in run]


def _middle(run: Sequence[Layer], places: int) -> str:
    return percent(run[0].place + run[-1].place + 1, 2 * places)


def _letters(layers: Sequence[Layer], places: int) -> Iterator[Markup]:
    """The letter of each run of alike layers, in its middle, where there is room for it."""
    for run in _runs(layers):
        if len(run) * _LEAST >= places:
            yield element("text", run[0].letter, x=_middle(run, places), y=_FOOT + 13)


def _marks(layers: Sequence[Layer], places: int) -> Iterator[Markup]:
    """The numbers of each marked run above it; left out where they would cover the last ones."""
    free = 0
    for run in _runs(layers):
        told = words.indices(str(IndexSet.of(layer.number for layer in run)))
        middle = run[0].place + run[-1].place + 1
        room = max(len(run) * 2, len(told) * places // _LEAST)
        if run[0].is_marked and middle - room // 2 >= free:
            free = middle + room // 2
            yield element("text", told, x=_middle(run, places), y=_TOP - 7, class_="told")


def _axis(layers: Sequence[Layer], places: int) -> Iterator[Markup]:
    """The first and the last number, below their columns."""
    below = _FOOT + _BAND + _AXIS - 3
    for layer in (layers[0], layers[-1]) if len(layers) > 1 else layers:
        yield element("text", str(layer.number), x=_middle([layer], places), y=below, class_="axis")
