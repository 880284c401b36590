"""The sections of a page about one checkpoint."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.report import words
from ckptscan.report.faults import remark_lines
from ckptscan.report.headline import facts
from ckptscan.report.html.columns import columns as script_columns
from ckptscan.report.html.layers import inner, strip
from ckptscan.report.html.markup import Child, Markup, element, joined, listed, name
from ckptscan.report.html.page import Page, Section
from ckptscan.report.html.pictures import Part, bar, legend, stack, swatch
from ckptscan.report.html.tables import columns, definitions, long_table, size, table, tiles
from ckptscan.report.sums import attention_words, feed_forward_words, figures
from ckptscan.structure import Structure
from ckptscan.structure.roles import OTHER, PARTS, part_of

_SCRIPTS = (
    "echarts/echarts.min.js",
    "tree.js",
    "treemap.js",
    "modules.js",
    "families.js",
    "inspect.js",
)
_MOST_STRIPS = 16
_FILL_OF = {part: number for number, part in enumerate((*PARTS, OTHER))}
_USES = ("#tensors", "#elements", "#bytes", "#share", "")
_NO_SCRIPT = element("noscript", element("p", "This part is drawn by a script of the page."))


def page(structure: Structure) -> Page:
    """The page of a checkpoint: what it is, where its bytes lie, what it is made of."""
    sections = (
        Section("overview", "Overview", _overview(structure)),
        Section("memory", "Memory by module", _memory(structure)),
        Section("layers", "Layers", _layers(structure)),
        Section("shares", "Dtypes and roles", _shares(structure)),
        Section("parameters", "Parameters", _parameters(structure)),
        Section("attention", "Attention and feed-forward", _attention(structure)),
        Section("families", "Families of tensors", _families(structure)),
        Section("files", "Files", _files(structure)),
    )
    return Page(
        words.label(structure.checkpoint.origin.title),
        "What the checkpoint holds",
        _tiles(structure),
        sections,
        _SCRIPTS,
        script_columns(structure),
    )


def _tiles(structure: Structure) -> Markup:
    one = structure.parameters
    known = structure.tree.parameters if one.logical is None else one.logical
    count = words.short_count(known) if known else "0"
    held: list[tuple[str, Child, Child]] = [
        ("Parameters", count, f"{known:,}" if one.logical is not None else f"at least {known:,}")
    ]
    if one.active is not None and one.experts is not None:
        label = f"[{one.active.label}]"
        held.append(("Active", words.short_count(one.active.all), f"a token {label}"))
    dtypes = ", ".join(words.label(use.dtype) for use in structure.dtypes[:3])
    held += [
        ("Size", words.nbytes(structure.nbytes), f"{structure.nbytes:,} bytes"),
        ("Tensors", f"{structure.tensors:,}", words.plural(len(structure.files), "file")),
        ("Dtypes", f"{len(structure.dtypes):,}", dtypes),
    ]
    return tiles(held)


def _overview(structure: Structure) -> Markup:
    remarks = listed(list(remark_lines(structure.checkpoint)), class_="remarks")
    return joined([definitions(facts(structure)), remarks])


def _memory(structure: Structure) -> Markup | None:
    """Room for the treemap and its table, which a script fills."""
    if not structure.tensors:
        return None
    return element("div", _NO_SCRIPT, id="tree")


def _layers(structure: Structure) -> Markup | None:
    fills = {use.dtype: number for number, use in enumerate(structure.dtypes)}
    found = [one for one in structure.layers if one.count > 1]
    odd = [one for one in found if not one.within or len(one.kinds) > 1]
    alike = [one for one in found if one not in odd]
    if not found:
        return None
    more = len(odd) - _MOST_STRIPS
    rest = f"and {words.plural(more, 'more container')}; --view layers has all"
    return joined(
        [
            legend([(words.label(dtype), fill) for dtype, fill in fills.items()]),
            *(strip(one, fills) for one in odd[:_MOST_STRIPS]),
            element("p", rest, class_="quiet") if more > 0 else None,
            joined([element("h3", "Within layers"), inner(alike)]) if alike else None,
        ]
    )


def _shares(structure: Structure) -> Markup | None:
    whole = structure.nbytes
    if not whole:
        return None
    dtypes = [
        Part(words.label(use.dtype), use.nbytes, number)
        for number, use in enumerate(structure.dtypes)
    ]
    by_part: dict[str, int] = {}
    for use in structure.roles:
        by_part[part_of(use.role)] = by_part.get(part_of(use.role), 0) + use.nbytes
    parts = [
        Part(part, by_part[part], fill) for part, fill in _FILL_OF.items() if by_part.get(part)
    ]
    return joined(
        [
            element("h3", "By dtype"),
            stack(dtypes, whole, "Bytes by dtype; the table below has the figures"),
            table("Bytes by dtype", columns("dtype", *_USES), _dtype_rows(structure)),
            element("h3", "By role"),
            stack(parts, whole, "Bytes by part of the model; the table below has the roles"),
            legend([(part.name, part.fill) for part in parts]),
            table("Bytes by role", columns("role", "part", *_USES), _role_rows(structure)),
        ]
    )


def _dtype_rows(structure: Structure) -> Iterator[tuple[Child, ...]]:
    for number, use in enumerate(structure.dtypes):
        label = joined([swatch(number), " ", words.label(use.dtype)])
        yield (label, *_use(use.tensors, use.numel, use.nbytes, structure.nbytes, number))


def _role_rows(structure: Structure) -> Iterator[tuple[Child, ...]]:
    for use in structure.roles:
        part = part_of(use.role)
        label = joined([swatch(_FILL_OF[part]), " ", use.role])
        counts = _use(use.tensors, use.numel, use.nbytes, structure.nbytes, _FILL_OF[part])
        yield (label, part, *counts)


def _use(tensors: int, numel: int, nbytes: int, whole: int, fill: int) -> tuple[Child, ...]:
    share = words.share(nbytes, whole)
    return (f"{tensors:,}", f"{numel:,}", size(nbytes), share, bar(nbytes, whole, fill))


def _parameters(structure: Structure) -> Markup:
    rows = (
        (one.name, "unknown" if one.value is None else f"{one.value:,}", one.label, one.how)
        for one in figures(structure)
        if one.value != 0 or one.name == "lm_head"
    )
    heads = columns("figure", "#parameters", "how it is known", "what it counts")
    return table("Counts of parameters", heads, rows)


def _attention(structure: Structure) -> Markup | None:
    rows = [
        (name(one.container), str(one.layers), attention_words(one), one.label, one.how)
        for one in structure.attention
    ]
    rows += [
        (name(one.container), str(one.layers), feed_forward_words(one), one.label, one.rule)
        for one in structure.feed_forward
    ]
    heads = columns("container", "layers", "what", "how it is known", "from what")
    return table("Attention and feed-forward of the layers", heads, rows) if rows else None


def _families(structure: Structure) -> Markup | None:
    return element("div", _NO_SCRIPT, id="families-list") if structure.families else None


def _files(structure: Structure) -> Markup:
    rows = [
        (
            name(use.path),
            f"{use.tensors:,}",
            f"{use.header_size:,}",
            size(use.nbytes),
            size(use.size),
        )
        for use in structure.files
    ]
    heads = columns("file", "#tensors", "#header bytes", "#tensor bytes", "#size")
    return long_table("Weight files", heads, rows)
