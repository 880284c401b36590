"""A view as a Markdown table, fit for a pull request or a model card."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

from ckptscan.report import grid, words
from ckptscan.report.faults import remark_lines
from ckptscan.report.options import Layout
from ckptscan.structure import Structure

_NUMBERS = frozenset(
    "files tensors elements bytes header_bytes data_bytes size start end faults "
    "parameters modules value heads kv_heads head_dim v_head_dim".split()
)
# what Markdown obeys, and what GitHub makes of it: mentions, mathematics
_SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\`*_[]|#~$"} | {"@": "&#64;"})


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """A heading with the totals, the view as a table, then the faults; names are escaped."""
    if layout.view == "formula":
        from ckptscan.report import formulas

        yield from formulas.markdown(structure, layout)
        return
    yield f"## {cell(structure.checkpoint.origin.title)}"
    yield ""
    if layout.view != "summary":  # which tells it
        yield (
            f"{structure.numel:,} elements ({words.short_count(structure.numel)}), "
            f"{words.plural(structure.tensors, 'tensor')}, {words.nbytes(structure.nbytes)}"
        )
        yield ""
    names, rows = grid.columns(layout.view), grid.rows(structure, layout)
    cells: Iterable[list[str]] = (list(map(cell, row)) for row in rows)
    if layout.view in ("tree", "modules"):
        names, cells = names[1:], map(_indented, cells)
    yield from written(names, cells)
    remarks = list(remark_lines(structure.checkpoint))
    if remarks:
        yield ""
    for line in remarks:
        yield f"- {_escaped(line)}"


def written(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Column names and rows of escaped cells as the lines of a Markdown table."""
    yield f"| {' | '.join(map(cell, names))} |"
    yield f"| {' | '.join('---:' if name in _NUMBERS else '---' for name in names)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def cell(value: grid.Value) -> str:
    """A value that is neither Markdown nor HTML, on one line."""
    if isinstance(value, int):
        return f"{value:,}"
    return _escaped(words.label(value))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False).translate(_SPECIAL).replace("://", "&#58;//")


def _indented(cells: list[str]) -> list[str]:
    depth, name, *rest = cells
    return ["&emsp;" * int(depth) + name, *rest]
