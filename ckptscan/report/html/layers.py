"""Layers of a checkpoint: the strip of each container, and its kinds as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element, joined, name
from ckptscan.report.html.pictures import FILLS, swatch
from ckptscan.report.html.strip import MOST_LAYERS, Layer, drawn
from ckptscan.report.html.tables import columns, size, table
from ckptscan.structure import LayerKind, Layers, unlike
from ckptscan.structure.unlike import Form

_FEW = 4  # children within layers that a table alone tells
_MOST_KINDS = 64  # of which each is told how it differs
_MOST_TOLD = 3  # tensors by which a kind differs
_KINDS = (7, 3, 5, 6, 1, 2, 4, 0)  # fills of kinds: the usual one is grey, unlike any dtype
_HEADS = columns("kind", "layers", "#count", "#bytes of each", "#tensors of each", "dtypes")
_INNER = columns("container", "layout", "within", "#count", "#bytes", "dtypes")


def strip(layers: Layers, dtypes: Mapping[str, int]) -> Markup:
    """The strip of a container and its kinds as a table; `dtypes` gives the fill of each dtype."""
    fills = _fills(layers)
    where = _within(layers)
    is_told = 1 < len(layers.kinds) <= _MOST_KINDS
    rows = (
        (
            joined([swatch(fills[kind.name]), f" {kind.name}"]),
            element("span", words.indices(str(kind.indices)), class_="whole"),
            f"{len(kind.indices):,}",
            size(each(kind, kind.node.nbytes)),
            f"{each(kind, kind.node.tensors):,}",
            ", ".join(map(words.label, kind.dtypes)),
            *((_told_apart(kind, layers),) if is_told else ()),
        )
        for kind in layers.kinds
    )
    heads = (*_HEADS, *columns(f"unlike kind {layers.usual.name}")) if is_told else _HEADS
    heading = element("h3", name(layers.container), f"{where}: {_layout(layers)}")
    caption = f"Kinds of layers of {words.label(layers.container)}{where}"
    return joined([heading, _picture(layers, fills, dtypes), table(caption, heads, rows)])


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


def each(kind: LayerKind, whole: int) -> int:
    """What one layer has of what all layers of a kind have together."""
    return whole // len(kind.indices)


def _within(layers: Layers) -> str:
    if not layers.within:
        return ""
    return f" of {', '.join(map(words.indices, layers.within.split(', ')))}"


def _layout(layers: Layers) -> str:
    return words.label(", ".join(map(str, layers.layout)))


def _fills(layers: Layers) -> dict[str, int]:
    """The fill of each kind: the usual one is grey, the others stand out."""
    ordered = sorted(layers.kinds, key=lambda kind: -len(kind.indices))
    return {kind.name: _KINDS[number % FILLS] for number, kind in enumerate(ordered)}


def _picture(layers: Layers, fills: Mapping[str, int], dtypes: Mapping[str, int]) -> Markup | None:
    if layers.count > MOST_LAYERS or (layers.within and layers.count <= _FEW):
        return None
    marked = layers.odd
    held = sorted((index, kind.name) for kind in layers.kinds for index in kind.indices)
    kinds = {kind.name: kind for kind in layers.kinds}
    held_by = {name: of_one(kind) for name, kind in kinds.items()}
    told = {name: _told(kind, held_by[name]) for name, kind in kinds.items()}
    shown = [
        Layer(
            place,
            index,
            held_by[name],
            name,
            fills[name],
            f"{index}: {told[name]}",
            kinds[name] in marked,
        )
        for place, (index, name) in enumerate(held)
    ]
    largest = max(layer.nbytes for layer in shown)
    return drawn(shown, len(shown), largest, dtypes, _label(layers, marked))


def _label(layers: Layers, marked: Sequence[LayerKind]) -> str:
    """What the strip shows, in words; the marked layers first."""
    kinds = "; ".join(
        f"{words.indices(str(kind.indices))} of kind {kind.name}" for kind in layers.kinds[:FILLS]
    )
    odd = "".join(
        f"; marked: {words.indices(str(kind.indices))}, {_told_apart(kind, layers)}"
        for kind in marked[:FILLS]
    )
    return f"{words.plural(layers.count, 'layer')} of {words.label(layers.container)}: {kinds}{odd}"


def of_one(kind: LayerKind) -> dict[str, int]:
    """Bytes of one layer of a kind by dtype."""
    return {dtype: each(kind, nbytes) for dtype, nbytes in kind.dtypes.items()}


def _told(kind: LayerKind, dtypes: Mapping[str, int]) -> str:
    """`kind B, 1.73 GiB, BF16 100.0 %`."""
    whole = sum(dtypes.values())
    parts = [f"kind {kind.name}", words.nbytes(whole)]
    parts += [f"{words.label(one)} {words.share(of, whole)}" for one, of in dtypes.items()]
    return ", ".join(parts)


def _told_apart(kind: LayerKind, layers: Layers) -> str:
    """`lacks self_attn.q_proj.bias and 2 more`; nothing of the usual kind itself."""
    if kind is layers.usual:
        return ""
    return "; ".join(_differences(kind, layers.usual)) or "in nothing but its bytes"


def _differences(kind: LayerKind, usual: LayerKind) -> Iterator[str]:
    found = unlike(kind, usual)
    for word, paths in (("lacks", found.lacks), ("has", found.has)):
        if paths:
            yield f"{word} {_some(list(map(words.label, paths)))}"
    if found.otherwise:
        told = [
            f"{words.label(one.path)} {_forms(one.here)}, not {_forms(one.usually)}"
            for one in found.otherwise[:_MOST_TOLD]
        ]
        more = len(found.otherwise) - len(told)
        yield ", ".join(told) + (f", and {more:,} more otherwise" if more else "")


def _some(told: Sequence[str]) -> str:
    more = len(told) - _MOST_TOLD
    return ", ".join(told[:_MOST_TOLD]) + (f" and {more:,} more" if more > 0 else "")


def _forms(forms: Sequence[Form]) -> str:
    """`F32 [16, 16]`; what one side lacks of several is told by the other."""
    told = (f"{words.label(dtype)} {words.shape(shape)}" for dtype, shape in forms)
    return " and ".join(told) or "none"
