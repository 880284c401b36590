"""What several commands take: options as decorators, and the parameter types behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import click

from ckptscan.report.words import printable

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("model", "dataset", "space")
MAX_MATCHED = 4096  # characters of a name that are looked at; bounds what backtracks


class Match(click.ParamType):  # type: ignore[type-arg]  # generic since Click 8.2 only
    """`GLOB` or `/regex/` -> a test of tensor names."""

    name = "GLOB|/REGEX/"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Callable[[str], bool]:
        """The test; a usage error where the expression is none."""
        if not isinstance(value, str):
            return cast("Callable[[str], bool]", value)
        import re
        from fnmatch import translate

        is_regex = len(value) > 1 and value[0] == value[-1] == "/"
        try:
            found = re.compile(value[1:-1] if is_regex else translate(value))
        except re.error as error:
            self.fail(f"{printable(value)} is no regular expression: {error}", param, ctx)
        look = found.search if is_regex else found.match
        return lambda name: look(name[:MAX_MATCHED]) is not None


class Size(click.ParamType):  # type: ignore[type-arg]  # generic since Click 8.2 only
    """`64MiB`, `80GB`, `4096` -> bytes."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The bytes; a usage error where it is no size."""
        if isinstance(value, int):
            return value
        from ckptscan.sizes import parse_size

        found = parse_size(str(value))
        if found is None:
            text = printable(str(value)[:60])
            self.fail(f"{text} is no size: say 64MiB (binary), 64MB (decimal) or 4096", param, ctx)
        return found


class Codes(click.ParamType):  # type: ignore[type-arg]  # generic since Click 8.2 only
    """`H,I002` -> codes of checks, names or beginnings of codes that there are."""

    name = "CODE,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """The words; a usage error with the nearest code where there is no such check."""
        if not isinstance(value, str):
            return cast("tuple[str, ...]", value)
        from ckptscan.checks import codes_of
        from ckptscan.errors import UsageError

        words = tuple(word.strip() for word in value.split(","))
        try:
            codes_of(words)
        except UsageError as error:
            self.fail(f"{printable(error.message)}; {printable(error.hint)}", param, ctx)
        return words


def source_options(command: F) -> F:
    """What may be said of sources that lie elsewhere; the command takes them as one Access."""

    @wraps(command)
    def with_access(
        *arguments: Any,
        revision: str | None,
        repo_type: str | None,
        offline: bool,
        anonymous: bool,
        timeout: float | None,
        **options: Any,
    ) -> Any:
        from ckptscan.sources.access import TIMEOUT, Access
        from ckptscan.sources.progress import Bar

        access = Access(revision, repo_type, offline, anonymous, timeout or TIMEOUT, Bar())
        return command(*arguments, access=access, **options)

    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(0, min_open=True),
            metavar="SECONDS",
            help="Give up a remote source after so long.  [default: 120]",
        ),
        click.option("--anonymous", is_flag=True, help="Send no token and no signature."),
        click.option("--offline", is_flag=True, help="Send no request; read what caches hold."),
        click.option(
            "--repo-type", type=click.Choice(KINDS), help="Kind of repository.  [default: model]"
        ),
        click.option(
            "--revision", metavar="REV", help="Branch, tag, commit or refs/pr/N.  [default: main]"
        ),
    ):
        with_access = option(with_access)
    return cast("F", with_access)


def format_option(formats: Sequence[str]) -> Callable[[F], F]:
    """--format, of which the first is the default."""
    return click.option(
        "--format",
        "format_name",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to write it.",
    )


def set_options(command: F) -> F:
    """--set and --all, which choose among the sets of a source."""
    command = click.option(
        "--all", "all_sets", is_flag=True, help="Show every set of weight files, not only one."
    )(command)
    return click.option("--set", "set_name", metavar="NAME", help="Show the set of this name.")(
        command
    )
