"""The sections of a plan for each format: figures with label and formula."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ckptscan.plan import MemoryPlan, Row, Section
from ckptscan.report import words
from ckptscan.report.markdown import cell
from ckptscan.report.plans import Shown

_MOST = 24  # lines of a section for people
_SMALL = 100  # below this a figure has decimals
_SCALES = {"FLOP": ((10**15, "PFLOP"), (10**12, "TFLOP"), (10**9, "GFLOP"))}


def section_lines(plan: MemoryPlan, shown: Shown) -> Iterator[str]:
    """All sections for a terminal, each after an empty line."""
    for section in plan.sections:
        yield ""
        yield words.label(section.title)
        yield from _rows(section, shown)
        for note in section.notes:
            yield from words.wrapped(f"note: {words.label(note)}", shown.width)


def _rows(section: Section, shown: Shown) -> Iterator[str]:
    names = [words.label(row.name) for row in section.rows]
    figures = [figure(row) for row in section.rows]
    wide, deep = max(map(len, names), default=0), max(map(len, figures), default=0)
    for row, name, value in [*zip(section.rows, names, figures, strict=True)][:_MOST]:
        yield f"  {name:<{wide}} {value:>{deep}} {row.label}"
        if shown.explained and row.formula:
            yield from words.wrapped(words.label(row.formula), shown.width, 6)
    if len(names) > _MOST:
        yield f"  ... {len(names) - _MOST:,} more lines with --format json"


def section_tables(plan: MemoryPlan) -> Iterator[str]:
    """All sections as tables of markdown."""
    for section in plan.sections:
        yield ""
        yield f"### {cell(section.title)}"
        yield ""
        yield "| | | label | how |"
        yield "| --- | ---: | --- | --- |"
        for row in section.rows:
            yield f"| {cell(row.name)} | {figure(row)} | {row.label} | {cell(row.formula)} |"
        if section.notes:
            yield ""
            yield from (f"- {cell(note)}" for note in section.notes)


def section_documents(plan: MemoryPlan) -> dict[str, Any]:
    """All sections by name, as json."""
    return {
        section.name: {
            "rows": [_document(row) for row in section.rows],
            "notes": list(section.notes),
        }
        for section in plan.sections
    }


def _document(row: Row) -> dict[str, Any]:
    value = round(row.value, 4) if isinstance(row.value, float) else row.value
    return {
        "name": row.name,
        "value": value,
        "unit": row.unit,
        "label": row.label,
        "formula": row.formula,
    }


def figure(row: Row) -> str:
    """A figure with its unit for people."""
    value = row.value
    if value is None:
        return "unknown"
    if row.unit == "B" and isinstance(value, int):
        return words.nbytes(value)
    for scale, name in _SCALES.get(row.unit, ()):
        if value >= scale:
            return f"{value / scale:,.2f} {name}"
    written = f"{value:,.2f}" if isinstance(value, float) and value < _SMALL else f"{value:,.0f}"
    return f"{written} {row.unit}".rstrip()
