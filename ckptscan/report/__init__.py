"""Values -> text, json, csv, markdown; computes nothing and prints nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, cast

from ckptscan.report.options import FORMATS, SORTS, VIEWS, Layout

if TYPE_CHECKING:
    from ckptscan.structure import Structure

__all__ = ["FORMATS", "SORTS", "VIEWS", "Layout", "report"]


def report(structure: Structure, format_name: str, layout: Layout) -> Iterator[str]:
    """The lines of a structure's report in one of FORMATS; only that format is imported."""
    module = import_module(f"ckptscan.report.{format_name}")
    write = cast("Callable[[Structure, Layout], Iterator[str]]", module.report)
    return write(structure, layout)
