"""Values -> one page that works offline, with pictures, tables and a search; computes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckptscan.report.options import Layout
    from ckptscan.structure import Structure


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the page of a checkpoint, which shows every view at once."""
    from ckptscan.report.html.inspect import page
    from ckptscan.report.html.page import written

    return written(page(structure))
