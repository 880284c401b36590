"""Which tensors are tables whose rows are looked at one by one: embeddings and output heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ckptscan.content.formats import LAYOUTS
from ckptscan.content.rows import MOST_ROWS, RowTally
from ckptscan.structure import Family, Structure

TABLES = frozenset({"embedding", "lm_head"})
_WIDTHS = (8, 16, 32, 64)


def table_rows(structure: Structure) -> dict[int, Callable[[], RowTally]]:
    """The rows of such tables, each with what makes the tally of its rows."""
    found: dict[int, Callable[[], RowTally]] = {}
    for family in structure.families:
        if structure.role(family) in TABLES and _is_table(family):
            rows, columns = family.shape
            width = columns * (family.dtype.bits or 0) // 8
            make = partial(RowTally, family.dtype.name, rows, width)
            found.update((row, make) for row in family.rows)
    return found


def _is_table(family: Family) -> bool:
    layout = LAYOUTS.get(family.dtype.name)
    if layout is None or layout.special == "scale" or family.dtype.name == "C64":
        return False
    if len(family.shape) != 2 or layout.bits not in _WIDTHS:
        return False
    rows, columns = family.shape
    is_whole = columns * layout.bits % 64 == 0
    return 1 < rows <= MOST_ROWS and columns > 1 and is_whole
