"""A verification -> text, json, markdown; computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ckptscan.verify import Verification

FORMATS = ("text", "json", "markdown")

__all__ = ["FORMATS", "report"]


def report(found: Verification, format_name: str, width: int | None = None) -> Iterator[str]:
    """The lines of a report on what was loaded and what it proves."""
    module = import_module(f"ckptscan.report.verified.{format_name}")
    write = cast("Callable[[Verification, int | None], Iterator[str]]", module.report)
    return write(found, width)
