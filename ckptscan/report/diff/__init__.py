"""What differs between two checkpoints -> text, json, markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from ckptscan.diff import Diff

FORMATS = ("text", "json", "markdown", "html")
SECTIONS = ("structure", "content", "config")

__all__ = ["FORMATS", "SECTIONS", "Look", "report"]


class Look(NamedTuple):
    """How a report of a diff is to look: `only` one of SECTIONS, None for all.

    `stat` leaves the changes out and keeps the summary; `width` is the columns of the terminal,
    None for any.
    """

    only: str | None = None
    stat: bool = False
    width: int | None = None

    def shows(self, section: str) -> bool:
        """Whether a section is asked for."""
        return self.only in (None, section)


def report(diff: Diff, format_name: str, look: Look) -> Iterator[str]:
    """The lines of a diff's report in one of FORMATS."""
    module = import_module(f"ckptscan.report.diff.{format_name}")
    write = cast("Callable[[Diff, Look], Iterator[str]]", module.report)
    return write(diff, look)
