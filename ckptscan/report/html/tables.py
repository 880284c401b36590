"""Tables, definitions, and figures in large type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptscan.report import words
from ckptscan.report.html.markup import Child, Markup, element, folded, joined

MOST_ROWS = 2000  # of a table that stands in the page itself
SCREEN, FEW = 24, 4  # rows of a long table that are shown; so few more are shown as well


class Column(NamedTuple):
    """A column: its head, and `is_figure` where it holds figures, which stand to the right."""

    head: str
    is_figure: bool = False


def columns(*heads: str) -> tuple[Column, ...]:
    """Columns of these heads; one that begins with `#` holds figures."""
    return tuple(Column(head.removeprefix("#"), head.startswith("#")) for head in heads)


def table(
    caption: str,
    heads: Sequence[Column],
    rows: Iterable[Sequence[Child]],
    class_: str | None = None,
) -> Markup:
    """A table whose first cell of each row names the row; `class_` is for its looks."""
    head = joined(map(_head, heads))
    held = list(rows)
    body = joined(_row(heads, row) for row in held[:MOST_ROWS])
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", head)),
        element("tbody", body),
        class_=class_,
    )
    more = len(held) - MOST_ROWS
    rest = f"and {words.plural(more, 'more row')}; --format json has all" if more > 0 else None
    scrolled = element("div", whole, class_="scroll", tabindex=0, role="group", aria_label=caption)
    return joined([scrolled, element("p", rest, class_="quiet") if rest else None])


def long_table(caption: str, heads: Sequence[Column], rows: Iterable[Sequence[Child]]) -> Markup:
    """A table of which a screen is shown, and the rest when it is asked for."""
    held = list(rows)
    others = held[SCREEN:]
    if len(others) < FEW:
        return table(caption, heads, held)
    count = words.plural(len(others), "more row")
    rest = folded(count, table(f"{caption}: {count}", heads, others))
    return joined([table(caption, heads, held[:SCREEN]), rest])


def _head(column: Column) -> Markup:
    """The head of a column; that of pictures and of names of rows has no words."""
    if not column.head:
        return element("td")
    return element("th", column.head, scope="col", class_="figure" if column.is_figure else None)


def _row(heads: Sequence[Column], row: Sequence[Child]) -> Markup:
    first, *rest = row
    cells = (
        element("td", cell, class_="figure" if column.is_figure else None)
        for column, cell in zip(heads[1:], rest, strict=True)
    )
    return element("tr", element("th", first, scope="row"), *cells)


def definitions(facts: Iterable[tuple[str, Child]]) -> Markup:
    """Names and what they are; what is empty is left out."""
    pairs = (
        element("div", element("dt", name), element("dd", value)) for name, value in facts if value
    )
    return element("dl", *pairs, class_="facts")


def tiles(figures: Iterable[tuple[str, Child, Child]]) -> Markup:
    """Figures in large type: what it is, the figure, and what stands below it in small type."""
    held = (
        element(
            "div",
            element("dt", name),
            element("dd", figure),
            element("dd", below, class_="below") if below else None,
        )
        for name, figure, below in figures
    )
    return element("dl", *held, class_="tiles")


def size(nbytes: int) -> Markup:
    """Bytes as people read them; the exact number is told beside it."""
    sign = "-" if nbytes < 0 else ""
    told = sign + words.nbytes(abs(nbytes))
    return element("data", told, value=nbytes, title=f"{nbytes:,} bytes")
