"""What several commands take: options as decorators, and the parameter types behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from ckptscan.commands.completing import complete_codes, complete_file, complete_set
from ckptscan.commands.help import REACH, READ, WRITE, Choice, under
from ckptscan.commands.telling import telling_options
from ckptscan.report.words import printable

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ckptscan.sources.access import Watch

F = TypeVar("F", bound=Callable[..., Any])

KINDS = ("model", "dataset", "space")
PEEK_HELP = "Read a few bytes that tell what no header does: packed shapes, bad scales."
MAX_MATCHED = 4096  # characters of a name that are looked at; bounds what backtracks


class Match(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
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


class Size(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
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


class Codes(click.ParamType):  # type: ignore[type-arg]  # generic in later Clicks than 8.2
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

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Codes that begin so, behind the last comma."""
        return complete_codes(ctx, param, incomplete)


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
        watch: Watch,
        **options: Any,
    ) -> Any:
        from ckptscan.sources.access import TIMEOUT, Access

        access = Access(revision, repo_type, offline, anonymous, timeout or TIMEOUT, watch)
        return command(*arguments, access=access, **options)

    return cast("F", under(REACH, *_REACHING)(telling_options(with_access)))


offline_option = click.option(
    "--offline", is_flag=True, help="Send no request; read what caches hold."
)
_REACHING = (
    click.option(
        "--revision", metavar="REV", help="Branch, tag, commit or refs/pr/N.  [default: main]"
    ),
    click.option("--repo-type", type=Choice(KINDS), help="Kind of repository.  [default: model]"),
    offline_option,
    click.option("--anonymous", is_flag=True, help="Send no token and no signature."),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Give up a remote source after so long.  [default: 120]",
    ),
)


def sources_argument(command: F) -> F:
    """SOURCE..., one or several."""
    return click.argument(
        "sources", nargs=-1, required=True, metavar="SOURCE...", shell_complete=complete_file
    )(command)


def source_argument(command: F) -> F:
    """The one SOURCE."""
    return click.argument("source", metavar="SOURCE", shell_complete=complete_file)(command)


def format_option(formats: Sequence[str]) -> Callable[[F], F]:
    """--format, of which the first is the default."""
    option = click.option(
        "--format",
        "format_name",
        type=Choice(formats),
        default=formats[0],
        show_default=True,
        metavar="FORMAT",
        help=f"{', '.join(formats)}.",
    )
    return under(WRITE, option)


def set_option(command: F) -> F:
    """--set, which chooses among the sets of a source."""
    option = click.option(
        "--set",
        "set_name",
        metavar="NAME",
        help="The set of this name, of several in one source.",
        shell_complete=complete_set,
    )
    return under(READ, option)(command)


def set_options(command: F) -> F:
    """--set and --all, which choose among the sets of a source."""
    every = click.option(
        "--all", "all_sets", is_flag=True, help="Every set of weight files, not only one."
    )
    return under(READ, set_option, every)(command)
