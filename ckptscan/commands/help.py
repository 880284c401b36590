"""Help as a manual has it: options under titles; and words that were meant by a slip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

SHOW = "What to show"
READ = "What to read"
REACH = "How to reach it"
WRITE = "How to write it"
TELL = "What to tell meanwhile"
HELP = "Help"


def under(title: str, *decorators: Decorator[F]) -> Decorator[F]:
    """Options under one title of the help, in this order; those that have one keep theirs."""

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            before = len(_options(command))
            command = decorator(command)
            for option in _options(command)[before:]:
                vars(option).setdefault("section", title)
        return command

    return decorate


def section_of(param: click.Parameter) -> str:
    """The title that an option stands under; HELP for the one that Click adds itself."""
    return str(vars(param).get("section", HELP))


def _options(command: Callable[..., Any]) -> list[click.Parameter]:
    """What decorators have put on a function so far, the last first."""
    found: list[click.Parameter] = getattr(command, "__click_params__", [])
    return found


class Command(click.Command):
    """A command whose help has a part for each title."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of each title, in the order in which titles come first."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if isinstance(param, click.Option) and record is not None:
                sections.setdefault(section_of(param), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Choice(click.Choice[str]):
    """One of some words; a slip is answered with the nearest."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """Click's own words, and which one may have been meant."""
        from ckptscan.report.words import printable

        message = super().get_invalid_choice_message(printable(str(value)[:80]), ctx)
        return f"{message}{meant(str(value), map(str, self.choices))}"


def meant(word: str, words: Iterable[str]) -> str:
    """` Did you mean tree?` where one of these words is near; else nothing."""
    import difflib

    close = difflib.get_close_matches(word.lower()[:80], list(words), 1)
    return f" Did you mean {close[0]}?" if close else ""
