"""What holds a model, and how far cards reach, as one page."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan.fit import Holders, Matrix
from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element, joined
from ckptscan.report.html.page import Page, Section, written
from ckptscan.report.html.tables import columns, table
from ckptscan.report.plans.fit import HEADS, holder_cells


def page(checkpoint: Checkpoint, found: Holders | Matrix) -> Iterator[str]:
    """The lines of the page."""
    title = words.label(checkpoint.origin.title)
    if isinstance(found, Matrix):
        card = words.label(found.devices.card.name)
        about = f"Contexts by requests on {found.cards} x {card}, {found.engine}"
        section = Section("contexts", "Contexts and requests", _matrix(found))
    else:
        wanted = f"{words.plural(found.requests, 'request')} of {found.context:,} tokens"
        about = f"What holds it with {wanted}, {found.engine}"
        section = Section("holders", "Cards, the fewest bytes first", _holders(found))
    return written(Page(title, about, None, [section]))


def _holders(found: Holders) -> Markup:
    if not found.holders:
        return element("p", f"Nothing of {found.tried:,} does: {words.label(found.refused)}")
    rows = (
        (f"{one.cards} x {words.label(one.card.name)}", *holder_cells(one)) for one in found.holders
    )
    return table("What holds it", columns("cards", *(f"#{head}" for head in HEADS)), rows)


def _matrix(found: Matrix) -> Markup:
    rows = (
        (
            f"{row.context:,}",
            *("yes" if count in row.fits else "-" for count in found.columns),
            f"{row.most:.2f}",
            words.label(row.why),
        )
        for row in found.rows
    )
    heads = columns("context", *map(str, found.columns), "#most", "stops at")
    told = "A row a context, a column a number of requests at once."
    return joined([element("p", told), table("Contexts by requests", heads, rows)])
