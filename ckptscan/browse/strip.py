"""The layers of a container as a strip of letters, in which an odd one leaps to the eye.

The commonest kind is a dot and every other its letter, so that no colour is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.structure import LayerKind, Layers, Node

COMMON, MANY = ".", "#"  # the commonest kind; a kind past Z
_STEP = 10  # layers between the numbers of the ruler
_LEAST = 20
MOST_LAYERS, MOST_KINDS, MOST_CONTAINERS = 2000, 26, 40


class Stretch(NamedTuple):
    """A piece of a line, and whether it is to stand out."""

    text: str
    is_odd: bool = False


StripLine = tuple[Stretch, ...]


def containers_at(layers: Sequence[Layers], chain: Sequence[Node]) -> list[Layers]:
    """The containers that a node holds, lies in or is."""
    path = chain[-1].path

    def meets(container: str) -> bool:
        return not path or _lies_in(path, container) or _lies_in(container, path)

    return [one for one in layers if meets(one.container)]


def _lies_in(path: str, other: str) -> bool:
    return path == other or (path.startswith(other) and path[len(other)] in "./") or not other


def strip_lines(layers: Layers, width: int) -> Iterator[StripLine]:
    """A title, the strip under its ruler in as many rows as it takes, and what the kinds are."""
    within = f" of {layers.within}" if layers.within else ""
    layout = ", ".join(map(str, layers.layout))
    yield (Stretch(words.label(f"{layers.container}{within}: {layout}")),)
    common = max(layers.kinds, key=lambda kind: len(kind.indices))
    if len(layers.kinds) > 1:
        yield from _rows(layers, common, width)
    for kind in layers.kinds[:MOST_KINDS]:
        yield _legend(layers, kind, common)
    if len(layers.kinds) > MOST_KINDS:
        yield (Stretch(f"... and {len(layers.kinds) - MOST_KINDS:,} more kinds"),)


def mark(kind: LayerKind, common: LayerKind) -> str:
    """The character of a kind in a strip."""
    if kind is common:
        return COMMON
    return kind.name if len(kind.name) == 1 else MANY


def _rows(layers: Layers, common: LayerKind, width: int) -> Iterator[StripLine]:
    placed = sorted((index, mark(kind, common)) for kind in layers.kinds for index in kind.indices)
    cut = placed[:MOST_LAYERS]
    step = max(_LEAST, width // _STEP * _STEP)
    for start in range(0, len(cut), step):
        row = cut[start : start + step]
        numbers = (f"{index:<{_STEP}}" for index, _ in row[::_STEP])
        yield (Stretch("".join(numbers).rstrip()),)
        yield tuple(Stretch(char, char != COMMON) for _, char in row)
    if len(placed) > len(cut):
        yield (Stretch(f"... and {len(placed) - len(cut):,} more layers"),)


def _legend(layers: Layers, kind: LayerKind, common: LayerKind) -> StripLine:
    """`A A 0-2: 20 tensors, 556.60 MiB each, BF16, F8_E4M3, F32`."""
    count = len(kind.indices) * _times(layers)
    tensors = words.plural(kind.node.tensors // count, "tensor")
    size = words.nbytes(kind.node.nbytes // count)
    each = " each" if count > 1 else ""
    dtypes = ", ".join(map(words.label, kind.dtypes))
    told = f" {kind.name} {words.indices(kind.indices)}: {tensors}, {size}{each}, {dtypes}"
    return Stretch(mark(kind, common), kind is not common), Stretch(told)


def _times(layers: Layers) -> int:
    """How often a container stands in the model: once in each block that it lies in."""
    times = 1
    for within in filter(None, layers.within.split(", ")):
        if within[0].isdigit():  # a set of indices, not MTP
            times *= len(IndexSet.parse(within))
    return times
