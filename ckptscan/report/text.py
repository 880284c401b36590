"""The report for people: fits the terminal; plain when it is piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ckptscan.checkpoint import Checkpoint
from ckptscan.names import IndexSet, natural_key
from ckptscan.report import words
from ckptscan.report.bars import NONE, bar
from ckptscan.report.faults import fault_lines
from ckptscan.report.headline import headline
from ckptscan.report.options import Layout
from ckptscan.report.rows import (
    Picked,
    TreeRow,
    dtype_rows,
    family_rows,
    file_rows,
    layers_rows,
    tensor_rows,
    tree_rows,
)
from ckptscan.report.sums import attention_lines, figures
from ckptscan.report.table import Line, aligned, fits, tabulated
from ckptscan.structure import Node, Structure

PIPED_WIDTH = 200
_BAR = 10  # characters of a bar in the tree
_COUNTS = ("tensors", "elements", "bytes")


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the report that the layout asks for; the tree has a head, and faults below."""
    if layout.view in VIEWS:
        yield from VIEWS[layout.view](structure, layout)
        return
    yield from headline(structure, layout.width)
    if structure.tensors and layout.view == "tree":
        yield ""
        yield from _tree(structure, layout)
    if structure.checkpoint.faults:
        yield ""
    for line in fault_lines(structure.checkpoint):
        yield from words.wrapped(line, layout.width)


@dataclass(frozen=True)
class _Form:
    """How cells are written: exact, or with three digits and no spaces where room is short."""

    is_exact: bool

    def shape(self, dims: Sequence[int]) -> str:
        text = words.shape(dims)
        return text if self.is_exact else text.replace(", ", ",")

    def indices(self, found: IndexSet | str) -> str:
        return str(found) if self.is_exact else words.indices(found)

    def nbytes(self, size: int) -> str:
        return words.nbytes(size, 4 if self.is_exact else 3)

    def share(self, part: int, whole: int) -> str:
        text = words.share(part, whole)
        return text if self.is_exact else text.replace(" %", "%")

    def counts(self, tensors: int, numel: int, nbytes: int) -> tuple[str, str, str]:
        elements = f"{numel:,}" if self.is_exact else words.short_count(numel, 3)
        return f"{tensors:,}", elements, self.nbytes(nbytes)


_EXACT, _SHORT = _Form(is_exact=True), _Form(is_exact=False)


def _fitted(lines: Callable[[_Form], list[Line]], left: int, layout: Layout) -> Iterator[str]:
    """Lines in the exact form where it fits, else in the short one.

    The first `left` cells of a line are words.
    """
    width = layout.width or PIPED_WIDTH
    exact = lines(_EXACT)
    return aligned(exact if fits(exact, width) else lines(_SHORT), left, width)


def _cut(rows: Picked[Any], noun: str) -> Iterator[str]:
    """What `--top` leaves out."""
    if rows.rest:
        yield f"... and {words.plural(len(rows.rest), f'more {noun}')}"


def _tree(structure: Structure, layout: Layout) -> Iterator[str]:
    """The tree in the most generous form that fits: exact, shortened, or tight on more lines."""
    width = layout.width or PIPED_WIDTH
    rows = tree_rows(structure.tree, layout, label=_node_label)
    for form in (_EXACT, _SHORT):
        for bars in dict.fromkeys((layout.bars, NONE)):
            lines = _tree_lines(structure, rows, form, bars)
            if fits(lines, width):
                return aligned(lines, 2, width)
    rows = tree_rows(structure.tree, layout, joined=False, label=_node_label)
    return aligned(_tree_lines(structure, rows, _SHORT), 2, width, step=1)


def _node_label(node: Node) -> str:
    """The label of a node; the indices of a run are abbreviated where they are many ranges."""
    if node.repeat is None:
        return node.label
    return node.label.replace(str(node.repeat), words.indices(node.repeat), 1)


def _tree_lines(
    structure: Structure, rows: Sequence[TreeRow], form: _Form, bars: str = NONE
) -> list[Line]:
    """The lines of the tree; behind each share its bar, where there are any."""
    lines = [Line(0, "", ("shape", "dtype", *_COUNTS, "share"))]
    for row in rows:
        shown, family = row.shown, row.family
        cells = (
            form.shape(family.shape) if family else "",
            words.label(family.dtype.name) if family else "",
            *form.counts(shown.tensors, shown.numel, shown.nbytes),
            form.share(shown.nbytes, structure.nbytes),
            *((bar(shown.nbytes, structure.nbytes, _BAR, bars),) if bars else ()),
        )
        lines.append(Line(row.depth, words.label(row.label), cells))
    return lines


def _tensors(structure: Structure, layout: Layout) -> Iterator[str]:
    """One tensor a line, made as it is printed; with its file where names alone do not tell."""
    table = structure.checkpoint.table
    kinds = [
        (
            words.shape(kind.shape),
            words.label(kind.dtype.name),
            f"{kind.numel:,}",
            words.nbytes(kind.nbytes),
        )
        for kind in table.kinds
    ]
    wide = [max((len(kind[place]) for kind in kinds), default=0) for place in range(4)]
    cells = [
        f"{kind[0]:<{wide[0]}} {kind[1]:<{wide[1]}} {kind[2]:>{wide[2]}} {kind[3]:>{wide[3]}}"
        for kind in kinds
    ]
    prefixes = _prefixes(structure.checkpoint)
    longest = max(map(len, table.names), default=0) + max(map(len, prefixes), default=0)
    room = min(longest, words.LONGEST)
    if layout.width:
        room = max(12, min(room, layout.width - sum(wide) - len(wide)))
    rows = tensor_rows(structure, layout)
    for row in rows.shown:
        prefix = prefixes[table.shard_of(row)] if any(prefixes) else ""
        yield f"{words.label(prefix + table.names[row]):<{room}} {cells[table.codes[row]]}"
    yield from _cut(rows, "tensor")


def _prefixes(checkpoint: Checkpoint) -> list[str]:
    """What stands before a name in each shard: its component; of parts their file."""
    return [
        f"{shard.path}: "
        if shard.component in checkpoint.parts
        else f"{shard.component}/" * bool(shard.component)
        for shard in checkpoint.table.shards
    ]


def _families(structure: Structure, layout: Layout) -> Iterator[str]:
    rows = family_rows(structure, layout)

    def lines(form: _Form) -> list[Line]:
        role = ("role",) if form.is_exact else ()  # the first to go where room is short
        found = [Line(0, "pattern", (*role, "indices", "shape", "dtype", *_COUNTS))]
        for family in rows.shown:
            prefix = f"{family.component}/" if family.component else ""
            indices = " x ".join(map(words.indices, family.axes))
            cells = (
                *((structure.role(family),) if form.is_exact else ()),
                indices + " (in part)" * (family.instances is not None),
                form.shape(family.shape),
                words.label(family.dtype.name),
                *form.counts(family.count, family.numel, family.nbytes),
            )
            found.append(Line(0, words.label(prefix + family.pattern), cells))
        return found

    yield from _fitted(lines, 4, layout)
    yield from _cut(rows, "family")


def _layers(structure: Structure, layout: Layout) -> Iterator[str]:
    rows = layers_rows(structure, layout)

    def lines(form: _Form) -> list[Line]:
        found = [Line(0, "container", ("layout", "layers", *_COUNTS))]
        for layers in rows.shown:
            runs = words.label(", ".join(map(str, layers.layout)))
            name = words.label(layers.container)
            if layers.within:
                within = map(form.indices, layers.within.split(", "))
                name = f"{name} of {', '.join(within)}"
            found.append(Line(0, name, (runs, f"{layers.count:,}", "", "", "")))
            for kind in layers.kinds:
                node = kind.node
                counts = form.counts(node.tensors, node.numel, node.nbytes)
                name = f"{kind.name}: {form.indices(kind.indices)}"
                found.append(Line(1, words.label(name), ("", f"{len(kind.indices):,}", *counts)))
        return found

    yield from _fitted(lines, 1, layout)
    yield from _cut(rows, "container")


def _dtypes(structure: Structure, layout: Layout) -> Iterator[str]:
    uses = dtype_rows(structure, layout)
    rows = [
        (
            words.label(use.dtype),
            *_EXACT.counts(use.tensors, use.numel, use.nbytes),
            words.share(use.nbytes, structure.nbytes),
        )
        for use in uses.shown
    ]
    yield from tabulated(rows, ("dtype", *_COUNTS, "share"))
    yield from _cut(uses, "dtype")


def _files(structure: Structure, layout: Layout) -> Iterator[str]:
    rows = file_rows(structure, layout)

    def lines(form: _Form) -> list[Line]:
        found = [Line(0, "file", ("tensors", "header", "data", "size"))]
        for use in rows.shown:
            sizes = (use.header_size, use.nbytes, use.size)
            written = [f"{size:,}" if form.is_exact else form.nbytes(size) for size in sizes]
            found.append(Line(0, words.label(use.path), (f"{use.tensors:,}", *written)))
        return found

    yield from _fitted(lines, 0, layout)
    yield from _cut(rows, "file")


def _metadata(structure: Structure, layout: Layout) -> Iterator[str]:
    """What the headers say of themselves; files that say the same stand together."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    files = file_rows(structure, layout)
    for use in files.shown:
        key = tuple(sorted(use.metadata.items(), key=lambda pair: natural_key(pair[0])))
        alike.setdefault(key, []).append(use.path)
    for pairs, paths in alike.items():
        more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
        yield f"{words.label(paths[0])}{more}"
        if not pairs:
            yield "  (none)"
        for key_, value in pairs:
            yield f"  {words.label(key_)}: {words.label(value)}"
    yield from _cut(files, "file")


def _modules(structure: Structure, layout: Layout) -> Iterator[str]:
    from ckptscan.report import modules

    return modules.report(structure, layout)


def _flow(structure: Structure, layout: Layout) -> Iterator[str]:
    from ckptscan.report import flow

    return flow.report(structure, layout)


def _formula(structure: Structure, layout: Layout) -> Iterator[str]:
    from ckptscan.report import formulas

    return formulas.text(structure, layout)


def _parameters(structure: Structure, layout: Layout) -> Iterator[str]:
    """All counts side by side; what is no part of a model is left out."""
    shown = [one for one in figures(structure) if one.value != 0 or one.name == "lm_head"]
    values = ["unknown" if one.value is None else f"{one.value:,}" for one in shown]
    wide = max(map(len, values))
    names = max(len(one.name) for one in shown)
    for one, value in zip(shown, values, strict=True):
        line = f"{words.label(one.name):<{names}} {value:>{wide}}  {one.label:<8}  {one.how}"
        yield from words.wrapped(line.rstrip(), layout.width, 0, names + wide + 13)


def _attention(structure: Structure, layout: Layout) -> Iterator[str]:
    return attention_lines(structure, layout.width)


VIEWS: dict[str, Callable[[Structure, Layout], Iterator[str]]] = {
    "modules": _modules,
    "flow": _flow,
    "parameters": _parameters,
    "formula": _formula,
    "attention": _attention,
    "tensors": _tensors,
    "families": _families,
    "layers": _layers,
    "dtypes": _dtypes,
    "files": _files,
    "metadata": _metadata,
}
