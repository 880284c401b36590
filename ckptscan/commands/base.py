"""--base: the model that an adapter is held against."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ckptscan.sources import Access
    from ckptscan.structure import Structure

F = TypeVar("F", bound=Callable[..., Any])


def base_option(command: F) -> F:
    """--base, which the command takes as `base`: a source as it was typed, or None."""
    return click.option(
        "--base", metavar="MODEL", help="The model that an adapter belongs to: any source."
    )(command)


def read_base(base: str | None, access: Access) -> Structure | None:
    """The structure of the base; raises SourceError or UsageError.

    --revision and --repo-type speak of what is audited; a base has its own as `hf://name@revision`.
    """
    if base is None:
        return None
    from ckptscan.checkpoint import load
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    return describe(load(open_source(base, access._replace(revision=None, repo_type=None))))
