"""Several checkpoints at once: a line each and a total."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckptscan.errors import CkptscanError
from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.report.table import tabulated
from ckptscan.sources import redacted
from ckptscan.version import schema

if TYPE_CHECKING:
    from ckptscan.structure import Structure

SCHEMA = schema("inspect-many")
_COUNTED = ("files", "tensors", "elements", "bytes", "faults")
_COLUMNS = (*_COUNTED, "dtypes", "source")
_BYTES = _COUNTED.index("bytes")


def report_many(
    structures: Sequence[Structure],
    format_name: str,
    layout: Layout,
    errors: Sequence[tuple[str, CkptscanError]] = (),
) -> Iterator[str]:
    """The lines of a report on several checkpoints in one of the formats.

    `errors` are the sources that could not be looked at, each with the reason.
    """
    total = _total(structures)
    last: tuple[str | int, ...] = (*total.values(), "", "total")
    rows = [_values(structure) for structure in structures]
    if format_name == "json":
        from ckptscan.report.json import document
        from ckptscan.report.lines import json_lines

        sources = (document(structure, layout) for structure in structures)
        failed = [
            {"spec": redacted(spec), "message": error.message, "hint": error.hint}
            for spec, error in errors
        ]
        whole = {"schema": SCHEMA, "sources": sources, "errors": failed, "total": total}
        yield from json_lines(whole)
    elif format_name == "csv":
        from ckptscan.report import csv

        yield from csv.written(_COLUMNS, [*rows, last])
    elif format_name == "markdown":
        from ckptscan.report import markdown

        cells = [list(map(markdown.cell, row)) for row in (*rows, last)]
        yield from markdown.written(_COLUMNS, cells)
    elif format_name == "html":
        from ckptscan.report.html import many

        failed_lines = [f"{redacted(spec)}: {error.message}" for spec, error in errors]
        yield from many(_COLUMNS, [_shown(row) for row in (*rows, last)], failed_lines)
    else:
        shown = [_shown(row) for row in (*rows, last)]
        yield from tabulated(shown, _COLUMNS)


def _values(structure: Structure) -> tuple[str | int, ...]:
    checkpoint = structure.checkpoint
    wrong = sum(fault.times for _, fault in checkpoint.faults if fault.severity != "note")
    return (
        len(checkpoint.table.shards),
        structure.tensors,
        structure.numel,
        structure.nbytes,
        wrong,
        " ".join(use.dtype for use in structure.dtypes),
        redacted(checkpoint.origin.spec),
    )


def _total(structures: Sequence[Structure]) -> dict[str, int]:
    columns = list(zip(*map(_values, structures), strict=True))[: len(_COUNTED)]
    return {
        name: sum(map(int, column))
        for name, column in zip(_COUNTED, columns or [()] * len(_COUNTED), strict=True)
    }


def _shown(row: Sequence[str | int]) -> list[str]:
    cells = [f"{value:,}" if isinstance(value, int) else words.label(value) for value in row]
    cells[_BYTES] = words.nbytes(int(row[_BYTES]))
    return cells
