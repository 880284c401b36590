"""Aligned lines: names to the left, numbers to the right.

`aligned` is for rows with names that may be long and indented; `tabulated` for other tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

# the columns of words; all others hold numbers
_WORDS = frozenset("dtype dtypes file indices layout pattern shape source container".split())


def tabulated(rows: Sequence[Sequence[str]], headers: Sequence[str]) -> Iterator[str]:
    """A table by tabulate: numbers to the right, words to the left, the longest words last."""
    from tabulate import tabulate

    align = ["left" if name in _WORDS else "right" for name in headers]
    table = tabulate(
        rows,
        headers,
        tablefmt="plain",
        disable_numparse=True,
        colalign=align if rows else None,
        preserve_whitespace=True,
    )
    return (line.rstrip() for line in table.split("\n"))


class Line(NamedTuple):
    """One line: an indented name, then cells."""

    indent: int
    name: str
    cells: tuple[str, ...]


def aligned(lines: Sequence[Line], left: int, width: int, step: int = 2) -> Iterator[str]:
    """The lines with their cells in columns, at most `width` wide if names allow it.

    The first `left` cells stand to the left of their column, the others to the right; `step` is the
    spaces a level takes. A name longer than its column has a line of its own, its cells on the
    next.
    """
    count = max((len(line.cells) for line in lines), default=0)
    widths = [
        max((len(line.cells[place]) for line in lines if place < len(line.cells)), default=0)
        for place in range(count)
    ]
    room = width - sum(widths) - len(widths)
    longest = max((len(line.name) + step * line.indent for line in lines), default=0)
    column = max(12, min(longest, room))
    for line in lines:
        name = " " * (step * line.indent) + line.name
        cells = (
            cell.ljust(wide) if place < left else cell.rjust(wide)
            for place, (cell, wide) in enumerate(zip(line.cells, widths, strict=False))
        )
        if len(name) > column and any(line.cells):
            yield name
            name = ""
        yield " ".join([name.ljust(column), *cells]).rstrip()


def fits(lines: Sequence[Line], width: int, step: int = 2) -> bool:
    """Whether every line would fit into `width` without a name on a line of its own."""
    count = max((len(line.cells) for line in lines), default=0)
    cells = sum(
        1 + max((len(line.cells[place]) for line in lines if place < len(line.cells)), default=0)
        for place in range(count)
    )
    names = max((len(line.name) + step * line.indent for line in lines), default=0)
    return names + cells <= width
