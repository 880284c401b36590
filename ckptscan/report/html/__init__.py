"""Values -> one page that works offline, with pictures, tables and a search; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckptscan.report.options import Layout
    from ckptscan.structure import Structure


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the page of a checkpoint, which shows every view at once."""
    from ckptscan.report.html.inspect import page
    from ckptscan.report.html.page import written

    return written(page(structure))


def many(
    heads: Sequence[str], rows: Sequence[Sequence[str]], errors: Sequence[str]
) -> Iterator[str]:
    """The lines of a page with a row for each of several checkpoints; the last is their total."""
    from ckptscan.report.html.markup import joined, listed, name
    from ckptscan.report.html.page import Page, Section, written
    from ckptscan.report.html.tables import columns, table

    *figures, source = heads
    shown = columns(source, *(f"#{head}" for head in figures))
    lines = ((name(named), *counts) for *counts, named in rows)
    found = joined([table("Checkpoints", shown, lines), listed(errors, "remarks")])
    title = f"{len(rows) - 1:,} checkpoints"
    return written(Page(title, "What they hold", None, [Section("all", "All of them", found)]))
