"""The strip of layers: a column a layer, as high as its bytes, in the colours of its dtypes.

Below it stands the kind of each layer, so that one that differs from its neighbours is seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element, joined, name
from ckptscan.report.html.pictures import FILLS, fill_of, percent, swatch
from ckptscan.report.html.tables import columns, size, table
from ckptscan.structure import LayerKind, Layers

MOST_LAYERS = 512  # columns of a strip
_HIGH = 96  # pixels of the largest layer
_BAND, _GAP = 18, 4  # of the kinds, below the columns
_KINDS = (7, 3, 5, 6, 1, 2, 4, 0)  # fills of kinds: the commonest is grey, unlike any dtype
_LEAST = 40  # a letter stands where its run is no narrower than one part in so many
_HEADS = columns("kind", "layers", "#count", "#bytes of each", "#tensors of each", "dtypes")
_INNER = columns("container", "layout", "within", "#count", "#bytes", "dtypes")


class _Column(NamedTuple):
    """A layer of a strip: its number, its kind, the bytes of one such layer."""

    number: int
    kind: LayerKind

    @property
    def nbytes(self) -> int:
        """Bytes of one layer of this kind."""
        return each(self.kind, self.kind.node.nbytes)


def each(kind: LayerKind, whole: int) -> int:
    """What one layer has of what all layers of a kind have together."""
    return whole // len(kind.indices)


def strip(layers: Layers, dtypes: Mapping[str, int]) -> Markup:
    """The strip of a container and its kinds as a table; `dtypes` gives the fill of each dtype."""
    fills = _fills(layers)
    rows = (
        (
            joined([swatch(fills[kind.name]), f" {kind.name}"]),
            str(kind.indices),
            f"{len(kind.indices):,}",
            size(each(kind, kind.node.nbytes)),
            f"{each(kind, kind.node.tensors):,}",
            ", ".join(map(words.label, kind.dtypes)),
        )
        for kind in layers.kinds
    )
    heading = element("h3", name(layers.container), f"{_within(layers)}: {_layout(layers)}")
    drawn = _drawn(layers, fills, dtypes) if layers.count <= MOST_LAYERS else None
    caption = f"Kinds of layers of {words.label(layers.container)}"
    return joined([heading, drawn, table(caption, _HEADS, rows)])


def inner(containers: Iterable[Layers]) -> Markup:
    """Containers whose children are all alike and lie within others, as a table."""
    rows = (
        (
            name(one.container),
            _layout(one),
            ", ".join(map(words.indices, one.within.split(", "))),
            f"{one.count:,}",
            size(one.nbytes),
            ", ".join(map(words.label, one.kinds[0].dtypes)),
        )
        for one in containers
    )
    return table("Containers of alike modules within layers", _INNER, rows)


def _within(layers: Layers) -> str:
    if not layers.within:
        return ""
    return f" of {', '.join(map(words.indices, layers.within.split(', ')))}"


def _layout(layers: Layers) -> str:
    return words.label(", ".join(map(str, layers.layout)))


def _fills(layers: Layers) -> dict[str, int]:
    """The fill of each kind: the commonest kind is grey, the others stand out."""
    ordered = sorted(layers.kinds, key=lambda kind: -len(kind.indices))
    return {kind.name: _KINDS[number % FILLS] for number, kind in enumerate(ordered)}


def _drawn(layers: Layers, fills: Mapping[str, int], dtypes: Mapping[str, int]) -> Markup:
    held = [_Column(index, kind) for kind in layers.kinds for index in kind.indices]
    held.sort(key=lambda column: column.number)
    largest = max(1, *(column.nbytes for column in held))
    drawn = []
    for place, column in enumerate(held):
        at = {"x": percent(place, len(held)), "width": percent(9, 10 * len(held))}
        pieces = _pieces(column, largest, at, dtypes)
        band = element(
            "rect", **at, y=_HIGH + _GAP, height=_BAND, fill=fill_of(fills[column.kind.name])
        )
        drawn.append(element("g", element("title", _told(column)), *pieces, band))
    return element(
        "svg",
        *drawn,
        *_letters([column.kind.name for column in held]),
        class_="strip",
        height=_HIGH + _GAP + _BAND,
        role="img",
        aria_label=_label(layers),
    )


def _label(layers: Layers) -> str:
    kinds = "; ".join(
        f"{words.indices(kind.indices)} of kind {kind.name}" for kind in layers.kinds[:FILLS]
    )
    return f"{words.plural(layers.count, 'layer')} of {words.label(layers.container)}: {kinds}"


def _told(column: _Column) -> str:
    """`3: kind B, 1.73 GiB, BF16 100.0 %`."""
    kind = column.kind
    parts = [f"{column.number}: kind {kind.name}", words.nbytes(column.nbytes)]
    for dtype, nbytes in kind.dtypes.items():
        parts.append(f"{words.label(dtype)} {words.share(nbytes, kind.node.nbytes)}")
    return ", ".join(parts)


def _letters(names: list[str]) -> Iterator[Markup]:
    """The letter of each run of alike layers, in its middle."""
    start = 0
    for letter, same in groupby(names):
        times = len(list(same))
        if times * _LEAST >= len(names):
            middle = percent(2 * start + times, 2 * len(names))
            yield element("text", letter, x=middle, y=_HIGH + _GAP + 13)
        start += times


def _pieces(
    column: _Column, largest: int, at: Mapping[str, str], dtypes: Mapping[str, int]
) -> Iterator[Markup]:
    """The dtypes of a layer from the bottom up; what is there is at least a pixel high."""
    below = _HIGH
    for dtype, nbytes in sorted(column.kind.dtypes.items(), key=lambda pair: dtypes[pair[0]]):
        if not nbytes:
            continue
        high = min(below, max(1, each(column.kind, nbytes) * _HIGH // largest))
        below -= high
        yield element("rect", **at, y=below, height=high, fill=fill_of(dtypes[dtype]))
