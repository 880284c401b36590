"""The count of parameters as LaTeX; other views have no such form."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.report import formulas
from ckptscan.report.options import Layout
from ckptscan.structure import Structure


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of an `align*` of amsmath."""
    return formulas.latex(structure, layout)
