"""Small pictures that need no script: bars in tables, stacks, the strip of layers.

They are SVG whose sizes are percent, so that they are sharp at any width and in print. Each colour
comes with a pattern of lines, and what a picture shows stands in a table beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element

FILLS = 8  # colours with their patterns; page.css has them all
# lines over the colour of each fill, in a square of 8: none, rising, falling, dots, bars ...
_LINES = (
    "",
    "M-2 2l4-4M0 8l8-8M6 10l4-4",
    "M-2 6l4 4M0 0l8 8M6-2l4 4",
    "M3 4h2M7 0h2M-1 0h2M7 8h2M-1 8h2",
    "M0 2h8M0 6h8",
    "M2 0v8M6 0v8",
    "M0 4h8M4 0v8",
    "",
)


class Part(NamedTuple):
    """A piece of a bar: what it is, how much, and the number of its fill."""

    name: str
    nbytes: int
    fill: int


def patterns() -> Markup:
    """The fills that pictures of the page refer to; seen by nobody."""
    made = (
        element(
            "pattern",
            element("rect", width=8, height=8, class_=f"fill-{number}"),
            element("path", d=lines, class_="lines") if lines else None,
            id=f"fill-{number}",
            width=8,
            height=8,
            patternUnits="userSpaceOnUse",
        )
        for number, lines in enumerate(_LINES)
    )
    return element("svg", element("defs", *made), width=0, height=0, aria_hidden="true")


def percent(part: int, whole: int) -> str:
    """A share as a coordinate: `37.25%`; computed in integers."""
    hundredths = (part * 10_000 + whole // 2) // whole if whole > 0 else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}%"


def fill_of(number: int) -> str:
    """The value of `fill` that paints with a pattern; after the last comes the first again."""
    return f"url(#fill-{number % FILLS})"


def bar(part: int, whole: int, fill: int | None = None, start: int = 0) -> Markup:
    """A bar in a cell of a table, whose figures are told beside it; in the accent without a fill.

    It begins at `start`, where bars stand one after the other.
    """
    piece = element(
        "rect",
        x=percent(max(0, start), whole),
        width=percent(max(0, part), whole),
        height=14,
        class_="accent" if fill is None else None,
        fill=None if fill is None else fill_of(fill),
    )
    return element("svg", piece, class_="bar", aria_hidden="true")


def stack(parts: Sequence[Part], whole: int, label: str, limit: int | None = None) -> Markup:
    """Pieces side by side in one bar, of which each tells what it is when pointed at.

    A line stands at `limit`, where there is one that pieces go beyond.
    """
    pieces, start = [], 0
    for part in parts:
        told = f"{part.name}: {words.nbytes(part.nbytes)}, {words.share(part.nbytes, whole)}"
        at = {"x": percent(start, whole), "width": percent(part.nbytes, whole)}
        piece = element("rect", **at, height=28, fill=fill_of(part.fill))
        pieces.append(element("g", element("title", told), piece))
        start += part.nbytes
    if limit is not None:
        pieces.append(element("rect", x=percent(limit, whole), width=3, height=28, class_="ink"))
    return element("svg", *pieces, class_="stack", role="img", aria_label=label)


def legend(names: Sequence[tuple[str, int]]) -> Markup:
    """What the fills of a picture mean."""
    held = (element("li", swatch(fill), name) for name, fill in names)
    return element("ul", *held, class_="legend")


def swatch(fill: int) -> Markup:
    """A little square of a fill."""
    square = element("rect", width=14, height=14, fill=fill_of(fill))
    return element("svg", square, class_="swatch", aria_hidden="true")
