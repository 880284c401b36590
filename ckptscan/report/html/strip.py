"""The strip of layers: a column a layer, as high as its bytes, in the colours of its dtypes.

Below it stands the kind of each layer, so that one that differs from its neighbours is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element, joined, name
from ckptscan.report.html.pictures import FILLS, percent, swatch
from ckptscan.report.html.tables import columns, size, table
from ckptscan.structure import LayerKind, Layers

MOST_LAYERS = 512  # columns of a strip
_HIGH = 96  # pixels of the largest layer
_BAND, _GAP = 18, 4  # of the kinds, below the columns
_KINDS = (7, 3, 5, 6, 1, 2, 4, 0)  # fills of kinds: the commonest is grey, unlike any dtype
_LEAST = 40  # a letter stands where its run is no narrower than one part in so many
_HEADS = columns("kind", "layers", "#count", "#bytes of each", "#tensors of each", "dtypes")


def strip(layers: Layers, dtypes: Mapping[str, int]) -> Markup:
    """The strip of a container and its kinds as a table; `dtypes` gives the fill of each dtype."""
    where = f" of {layers.within}" if layers.within else ""
    runs = ", ".join(map(str, layers.layout))
    fills = _fills(layers)
    is_drawn = layers.count <= MOST_LAYERS and (len(layers.kinds) > 1 or not layers.within)
    drawn = _drawn(layers, fills, dtypes) if is_drawn else None
    rows = [
        (
            joined([swatch(fills[kind.name]), f" {kind.name}"]),
            str(kind.indices),
            f"{len(kind.indices):,}",
            size(kind.node.nbytes // len(kind.indices)),
            f"{kind.node.tensors // len(kind.indices):,}",
            ", ".join(kind.dtypes),
        )
        for kind in layers.kinds
    ]
    caption = f"{words.label(layers.container)}{where}: kinds of layers"
    heading = element("h3", name(layers.container), f"{where}: {runs}")
    return element("div", heading, drawn, table(caption, _HEADS, rows), class_="layers")


def _fills(layers: Layers) -> dict[str, int]:
    """The fill of each kind: the commonest kind is grey, the others stand out."""
    ordered = sorted(layers.kinds, key=lambda kind: -len(kind.indices))
    return {kind.name: _KINDS[number % FILLS] for number, kind in enumerate(ordered)}


def _drawn(layers: Layers, fills: Mapping[str, int], dtypes: Mapping[str, int]) -> Markup:
    kinds = dict(
        sorted(
            ((index, kind) for kind in layers.kinds for index in kind.indices), key=itemgetter(0)
        )
    )
    largest = max(kind.node.nbytes // len(kind.indices) for kind in layers.kinds)
    columns_ = (
        _column(place, layers.count, index, kind, largest, fills, dtypes)
        for place, (index, kind) in enumerate(kinds.items())
    )
    label = (
        f"{words.plural(layers.count, 'layer')} of {words.label(layers.container)}: "
        + "; ".join(
            f"{words.indices(kind.indices)} of kind {kind.name}" for kind in layers.kinds[:FILLS]
        )
    )
    height = _HIGH + _GAP + _BAND
    letters = _letters([kind.name for kind in kinds.values()])
    return element(
        "svg", *columns_, *letters, class_="strip", height=height, role="img", aria_label=label
    )


def _letters(names: list[str]) -> Iterator[Markup]:
    """The letter of each run of alike layers, in its middle."""
    start = 0
    for letter, same in groupby(names):
        times = len(list(same))
        if times * _LEAST >= len(names):
            middle = percent(2 * start + times, 2 * len(names))
            yield element("text", letter, x=middle, y=_HIGH + _GAP + 13)
        start += times


def _column(
    place: int,
    count: int,
    index: int,
    kind: LayerKind,
    largest: int,
    fills: Mapping[str, int],
    dtypes: Mapping[str, int],
) -> Markup:
    """One layer: its dtypes one above the other, and its kind."""
    at = {"x": percent(place, count), "width": percent(9, 10 * count)}
    each = kind.node.nbytes // len(kind.indices)
    told = [f"{index}: kind {kind.name}, {words.nbytes(each)}"]
    told += [f"{held} {words.share(part, kind.node.nbytes)}" for held, part in kind.dtypes.items()]
    band = element(
        "rect", **at, y=_HIGH + _GAP, height=_BAND, fill=f"url(#fill-{fills[kind.name]})"
    )
    pieces = _pieces(kind, largest, at, dtypes)
    return element("g", element("title", ", ".join(told)), *pieces, band)


def _pieces(
    kind: LayerKind, largest: int, at: Mapping[str, str], dtypes: Mapping[str, int]
) -> Iterator[Markup]:
    """The dtypes of a layer from the bottom up; what is there is at least a pixel high."""
    below = _HIGH
    for dtype, nbytes in sorted(kind.dtypes.items(), key=lambda pair: dtypes.get(pair[0], 0)):
        high = max(1, nbytes // len(kind.indices) * _HIGH // largest) if largest and nbytes else 0
        high = min(high, below)
        below -= high
        fill = f"url(#fill-{dtypes.get(dtype, 0) % FILLS})"
        yield element("rect", **at, y=below, height=high, fill=fill)
