"""What holds a model, and how far cards reach, as one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan.fit import Holders, Matrix
from ckptscan.report import words
from ckptscan.report.html.markup import Markup, element, joined
from ckptscan.report.html.page import Page, Section, written
from ckptscan.report.html.tables import columns, long_table, table
from ckptscan.report.plans.fit import HEADS, holder_cells, holder_name, wanted
from ckptscan.report.plans.phrases import readable


def page(checkpoint: Checkpoint, found: Sequence[Holders | Matrix]) -> Iterator[str]:
    """The lines of the page, a section for each engine."""
    title = words.label(checkpoint.origin.title)
    sections = [_section(number, one) for number, one in enumerate(found, 1)]
    return written(Page(title, "What holds it", None, sections))


def _section(number: int, found: Holders | Matrix) -> Section:
    if isinstance(found, Matrix):
        card = words.label(found.devices.card.name)
        heading = f"{found.engine}: contexts by requests on {found.cards} x {card}"
        return Section(f"contexts-{number}", heading, _matrix(found))
    heading = f"{found.engine}: cards for {wanted(found)}, the fewest bytes first"
    return Section(f"holders-{number}", heading, _holders(found))


def _holders(found: Holders) -> Markup:
    if not found.holders:
        return element("p", f"Nothing of {found.tried:,} does: {readable(found.refused)}")
    rows = ((words.label(holder_name(one)), *holder_cells(one)) for one in found.holders)
    return long_table("What holds it", columns("cards", *(f"#{head}" for head in HEADS)), rows)


def _matrix(found: Matrix) -> Markup:
    rows = (
        (
            f"{row.context:,}",
            *("yes" if count in row.fits else "-" for count in found.columns),
            f"{row.most:.2f}",
            readable(row.why),
        )
        for row in found.rows
    )
    heads = columns("context", *map(str, found.columns), "#most", "stops at")
    told = "A row a context, a column a number of requests at once."
    return joined([element("p", told), table("Contexts by requests", heads, rows)])
