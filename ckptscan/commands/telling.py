"""--quiet and --verbose: what is told of a reading on stderr, as one watch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.help import TELL, under

if TYPE_CHECKING:
    from ckptscan.sources.progress import Meter

F = TypeVar("F", bound=Callable[..., Any])

_QUIET = "ckptscan.quiet"  # what a context remembers of its options


def telling_options(command: F) -> F:
    """How much is told; the command takes it as `watch`, whom its sources tell how they go."""

    @wraps(command)
    def with_watch(*arguments: Any, quiet: bool, verbose: bool, **options: Any) -> Any:
        from ckptscan.sources.access import Silence
        from ckptscan.sources.progress import Bar

        if quiet and verbose:
            raise click.UsageError("--quiet and --verbose: give one of the two")
        click.get_current_context().meta[_QUIET] = quiet
        if not verbose:
            return command(*arguments, watch=Silence() if quiet else Bar(), **options)
        from ckptscan.sources.tally import Tally

        tally = Tally(Bar())
        try:
            return command(*arguments, watch=tally, **options)
        finally:
            tell(f"read {tally.told()}")

    options = (
        click.option("-q", "--quiet", is_flag=True, help="Only what is wrong: no bar, no notes."),
        click.option("-v", "--verbose", is_flag=True, help="Files, bytes, requests and seconds."),
    )
    return cast("F", under(TELL, *options)(with_watch))


def tell(line: str) -> None:
    """A line on stderr that no terminal obeys: what is wrong. Where none takes it, that is all."""
    from ckptscan.report.words import printable

    with suppress(OSError):
        click.echo(printable(line), err=True)


def tell_bug(traceback: str) -> None:
    """A fault of ours on stderr, to be reported as it stands."""
    for line in traceback.splitlines():
        tell(line)
    tell("")
    tell("This is a bug of ckptscan. Please report it with the text above.")


def note(line: str) -> None:
    """A line on stderr that may be left out: a note, a hint, what was done."""
    if not is_quiet():
        tell(line)


def meter(what: str) -> Meter:
    """A bar of bytes for a long reading, which --quiet hides."""
    from ckptscan.sources.progress import Meter

    return Meter(what, is_hidden=is_quiet())


def is_quiet() -> bool:
    """Whether --quiet is given; outside of a command it is not."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))
