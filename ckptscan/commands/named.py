"""The sources that were named on the command line, and those that can't be."""

from __future__ import annotations

from collections.abc import Iterable

from ckptscan.errors import CkptscanError

Failed = tuple[str, CkptscanError]


def expand_all(sources: Iterable[str]) -> tuple[list[str], list[Failed]]:
    """What these name, globs expanded; and what can't be expanded, each with its error."""
    from ckptscan.sources import expand

    specs: list[str] = []
    errors: list[Failed] = []
    for source in sources:
        try:
            specs += expand(source)
        except CkptscanError as error:
            errors.append((source, error))
    return specs, errors
