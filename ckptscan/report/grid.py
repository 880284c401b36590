"""The views as plain tables, for csv and markdown: column names, then rows of exact values."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ckptscan.names import natural_key
from ckptscan.report.flow import flow_rows
from ckptscan.report.formulas import formula_rows
from ckptscan.report.headline import facts
from ckptscan.report.modules import module_rows
from ckptscan.report.options import Layout
from ckptscan.report.rows import (
    dtype_rows,
    family_rows,
    file_rows,
    layers_rows,
    tensor_rows,
    tree_rows,
)
from ckptscan.report.sums import figures
from ckptscan.structure import End, Structure

Value = str | int
Rows = Iterator[tuple[Value, ...]]


def columns(view: str) -> tuple[str, ...]:
    """The names of a view's columns."""
    return _COLUMNS[view]


def rows(structure: Structure, layout: Layout) -> Rows:
    """The rows of a view; integers are exact, sizes in bytes."""
    return _ROWS[layout.view](structure, layout)


def _summary(structure: Structure, layout: Layout) -> Rows:
    yield from facts(structure)


def _tree(structure: Structure, layout: Layout) -> Rows:
    for row in tree_rows(structure.tree, layout):
        shown, family = row.shown, row.family
        yield (
            row.depth,
            row.label,
            shown.family.pattern if isinstance(shown, End) else shown.path,
            str(list(family.shape)) if family else "",
            family.dtype.name if family else "",
            shown.tensors,
            shown.numel,
            shown.nbytes,
        )


def _modules(structure: Structure, layout: Layout) -> Rows:
    for row in module_rows(structure, layout):
        yield row.depth, row.name, row.kind, row.arguments, row.label, row.times, row.parameters


def _flow(structure: Structure, layout: Layout) -> Rows:
    for row in flow_rows(structure, layout):
        within = " x ".join(map(str, row.within))
        yield row.name, str(list(row.shape)), row.dtype, row.role, row.times, within


def _parameters(structure: Structure, layout: Layout) -> Rows:
    for figure in figures(structure):
        value = "unknown" if figure.value is None else figure.value
        yield figure.name, value, figure.label, figure.how


def _formula(structure: Structure, layout: Layout) -> Rows:
    for row in formula_rows(structure, layout):
        yield row.depth, row.part, row.term, row.value, row.label


def _attention(structure: Structure, layout: Layout) -> Rows:
    for one in structure.attention:
        sizes = (one.heads, one.kv_heads, one.head_dim, one.v_head_dim)
        shown = ("" if size is None else size for size in sizes)
        yield one.container, str(one.layers), one.kind, *shown, one.label, one.how


def _tensors(structure: Structure, layout: Layout) -> Rows:
    table = structure.checkpoint.table
    for row in tensor_rows(structure, layout).shown:
        tensor = table[row]
        yield (
            tensor.name,
            str(list(tensor.shape)),
            tensor.dtype.name,
            tensor.numel,
            tensor.nbytes,
            table.shards[tensor.shard].path,
            tensor.start,
            tensor.end,
        )


def _families(structure: Structure, layout: Layout) -> Rows:
    for family in family_rows(structure, layout).shown:
        yield (
            family.component,
            family.pattern,
            " x ".join(map(str, family.axes)),
            str(list(family.shape)),
            family.dtype.name,
            structure.role(family),
            family.count,
            family.numel,
            family.nbytes,
        )


def _layers(structure: Structure, layout: Layout) -> Rows:
    for layers in layers_rows(structure, layout).shown:
        for kind in layers.kinds:
            node = kind.node
            yield (
                layers.container,
                layers.within,
                ", ".join(map(str, layers.layout)),
                kind.name,
                str(kind.indices),
                node.tensors,
                node.numel,
                node.nbytes,
            )


def _dtypes(structure: Structure, layout: Layout) -> Rows:
    yield from dtype_rows(structure, layout).shown


def _files(structure: Structure, layout: Layout) -> Rows:
    for use in file_rows(structure, layout).shown:
        yield use.path, use.tensors, use.header_size, use.nbytes, use.size, use.digest or ""


def _metadata(structure: Structure, layout: Layout) -> Rows:
    for use in file_rows(structure, layout).shown:
        for key in sorted(use.metadata, key=natural_key):
            yield use.path, key, use.metadata[key]


_COLUMNS = {
    "summary": ("fact", "text"),
    "tree": ("depth", "label", "path", "shape", "dtype", "tensors", "elements", "bytes"),
    "modules": ("depth", "name", "class", "arguments", "label", "modules", "parameters"),
    "flow": ("name", "shape", "dtype", "role", "tensors", "within"),
    "parameters": ("figure", "value", "label", "formula"),
    "formula": ("depth", "part", "term", "value", "counts"),
    "attention": (
        "container",
        "layers",
        "kind",
        "heads",
        "kv_heads",
        "head_dim",
        "v_head_dim",
        "label",
        "formula",
    ),
    "tensors": ("name", "shape", "dtype", "elements", "bytes", "file", "start", "end"),
    "families": (
        "component",
        "pattern",
        "indices",
        "shape",
        "dtype",
        "role",
        "tensors",
        "elements",
        "bytes",
    ),
    "layers": (
        "container",
        "within",
        "layout",
        "kind",
        "indices",
        "tensors",
        "elements",
        "bytes",
    ),
    "dtypes": ("dtype", "tensors", "elements", "bytes"),
    "files": ("file", "tensors", "header_bytes", "data_bytes", "size", "sha256"),
    "metadata": ("file", "key", "value"),
}
_ROWS: dict[str, Callable[[Structure, Layout], Rows]] = {
    "summary": _summary,
    "tree": _tree,
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
