"""What an audit found -> text, json, markdown, GitHub annotations, SARIF, CycloneDX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ckptscan.checks import Audit

FORMATS = ("text", "json", "markdown", "github", "sarif", "cyclonedx", "html")

__all__ = ["FORMATS", "report"]


def report(audits: Sequence[Audit], format_name: str, width: int | None) -> Iterator[str]:
    """The lines of a report on these audits in one of FORMATS, at most `width` columns wide."""
    module = import_module(f"ckptscan.report.findings.{format_name}")
    write = cast("Callable[[Sequence[Audit], int | None], Iterator[str]]", module.report)
    return write(audits, width)
