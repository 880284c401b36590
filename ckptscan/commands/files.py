"""--output and --force: the file that a command writes, as one value."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

import click

from ckptscan.commands.help import WRITE, under
from ckptscan.commands.output import columns, marks, write
from ckptscan.errors import UsageError
from ckptscan.report.bars import NONE

F = TypeVar("F", bound=Callable[..., Any])


class Output(NamedTuple):
    """Where a command writes; None is stdout, or a name that the command chooses."""

    path: str | None = None
    force: bool = False

    def at(self, default: str) -> str:
        """The path, or the default where none was given. Raises UsageError for what is there."""
        from ckptscan.sources.own import is_replaceable

        path = self.path or default
        if "\0" in path:
            raise UsageError(f"{path!r}: no path holds a NUL", "name a file with -o")
        if os.path.isdir(path):
            raise UsageError(f"{path}: is a directory", "name a file with -o")
        if not is_replaceable(path):
            raise UsageError(f"{path}: is no regular file", "leave -o out to write to stdout")
        if os.path.lexists(path) and not self.force:
            raise UsageError(f"{path}: there is a file already", "replace it with --force")
        return path

    def columns(self) -> int | None:
        """The width to write for; None where a file takes any."""
        return columns() if self.path is None else None

    def marks(self) -> str:
        """What bars are drawn with; nothing in a file."""
        return marks() if self.path is None else NONE

    def write(self, lines: Iterable[str]) -> None:
        """Lines into the file, which appears once it is whole, or to stdout as they come."""
        if self.path is None:
            write(lines)
            return
        self.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))

    def write_bytes(self, data: bytes) -> None:
        """Bytes into the file, or to stdout; see `refuse_terminal`."""
        if self.path is None:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        from ckptscan.sources.own import write_report

        write_report(self.path, data)

    def refuse_terminal(self, what: str) -> None:
        """Raise UsageError where bytes would reach a terminal."""
        if self.path is None and sys.stdout.isatty():
            raise UsageError(f"{what} is no text for a terminal", "name a file with --output FILE")


def output_options(default: str) -> Callable[[F], F]:
    """--output and --force; the command takes them as one Output. `default` is said in the help."""

    def decorate(command: F) -> F:
        @wraps(command)
        def with_output(*arguments: Any, output: str | None, force: bool, **options: Any) -> Any:
            asked = Output(output, force)
            if output is not None:
                asked.at("")
            return command(*arguments, output=asked, **options)

        options = (
            click.option(
                "-o", "--output", metavar="FILE", help=f"File to write.  [default: {default}]"
            ),
            click.option("--force", is_flag=True, help="Replace a file that is there."),
        )
        return cast("F", under(WRITE, *options)(with_output))

    return decorate
