"""A plan -> text, json, markdown; computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from ckptscan.checkpoint import Checkpoint
    from ckptscan.plan import MemoryPlan

FORMATS = ("text", "json", "markdown", "html")

__all__ = ["FORMATS", "Shown", "report"]


class Shown(NamedTuple):
    """What of a plan is written: formulas, log lines, the command that serves; the width.

    `bars` is what bars are drawn with, as far as the terminal can show it.
    """

    explained: bool = False
    expected: bool = False
    command: bool = False
    width: int | None = None
    bars: str = ""


def report(
    checkpoint: Checkpoint, plans: Sequence[MemoryPlan], format_name: str, shown: Shown
) -> Iterator[str]:
    """The lines of a report on the plans of one checkpoint, one for each engine."""
    module = import_module(f"ckptscan.report.plans.{format_name}")
    write = cast(
        "Callable[[Checkpoint, Sequence[MemoryPlan], Shown], Iterator[str]]", module.report
    )
    return write(checkpoint, plans, shown)
