"""A view as CSV (RFC 4180 quoting), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from ckptscan.report import grid
from ckptscan.report.options import Layout
from ckptscan.report.words import printable
from ckptscan.structure import Structure

# OWASP, CSV injection: a cell that begins so may be run as a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Lines:
    """What csv.writer writes to: keeps the last line."""

    line = ""

    def write(self, text: str) -> None:
        self.line = text


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The view's column names, then its rows, a line each."""
    return written(grid.columns(layout.view), grid.rows(structure, layout))


def written(names: Sequence[str], rows: Iterable[Sequence[grid.Value]]) -> Iterator[str]:
    """Column names and rows as lines of CSV."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="")
    for row in chain([names], rows):
        writer.writerow(map(_cell, row))
        yield lines.line


def _cell(value: grid.Value) -> grid.Value:
    """A value that no spreadsheet takes for a formula and no terminal obeys."""
    if isinstance(value, int):
        return value
    if value.startswith(_FORMULA):
        value = f"'{value}"
    return printable(value)
