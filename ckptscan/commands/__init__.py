"""The command line: arguments in, exit code out. One file a command.

Exit codes: 0 done and clean; 1 findings, faults, differences; 2 usage; 3 the input could not be
read; 4 a bug of ours; 130 interrupted; 141 the reader of the output went away.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from importlib import import_module

import click

from ckptscan.commands.help import meant
from ckptscan.errors import CkptscanError
from ckptscan.version import SCHEMAS, VERSION

# name -> module, in the order of the help; imported when called or listed
COMMANDS = {
    "inspect": "ckptscan.commands.inspect",
    "browse": "ckptscan.commands.browse",
    "audit": "ckptscan.commands.audit",
    "diff": "ckptscan.commands.diff",
    "checks": "ckptscan.commands.checks",
    "explain": "ckptscan.commands.explain",
    "plan": "ckptscan.commands.plan",
    "verify": "ckptscan.commands.verify",
    "gpus": "ckptscan.commands.gpus",
    "pack": "ckptscan.commands.pack",
    "lock": "ckptscan.commands.lock",
    "cache": "ckptscan.commands.cache",
    "doctor": "ckptscan.commands.doctor",
    "completion": "ckptscan.commands.completion",
}
_DOCUMENTS = ", ".join(f"{name}/{number}" for name, number in SCHEMAS.items())
_VERSIONS = f"ckptscan, version %(version)s\nwrites {_DOCUMENTS}"
BUG = 4
INTERRUPTED = 130
PIPE_CLOSED = 141
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class _Commands(click.Group):
    """Imports a command when it is needed, and turns errors into lines and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with the whole first sentence of each, wrapped rather than cut."""
        with formatter.section("Commands"):
            commands = ((name, self.get_command(ctx, name)) for name in COMMANDS)
            formatter.write_dl(
                [(name, one.get_short_help_str(500)) for name, one in commands if one is not None]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            known = meant(args[0], COMMANDS) or f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f"no command is called {args[0]!r}.{known}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CkptscanError as error:
            show_error(error)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt as interrupt:
            click.echo(str(interrupt) or "interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            _silence_stdout()  # whoever read the report has closed the pipe
            ctx.exit(PIPE_CLOSED)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _FULL:
                _silence_stdout()
                show_error(CkptscanError(f"the report can't be written: {error.strerror}"))
                ctx.exit(CkptscanError.exit_code)
            import traceback

            traceback.print_exc()
            click.echo(
                "\nThis is a bug of ckptscan. Please report it with the text above.", err=True
            )
            ctx.exit(BUG)


def _silence_stdout() -> None:
    """Let nothing be flushed at exit into what takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show_error(error: CkptscanError, spec: str = "") -> None:
    """An error on stderr, as one line and a hint; characters that a terminal obeys are escaped.

    `spec` names the source that it is about, where the message does not.
    """
    from ckptscan.report.words import printable
    from ckptscan.sources.redaction import redacted

    spec = redacted(spec)
    about = f"{spec}: " if spec and not error.message.startswith(spec) else ""
    click.echo(f"error: {printable(about + error.message)}", err=True)
    if error.hint:
        click.echo(f"hint: {printable(error.hint)}", err=True)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message=_VERSIONS)
def cli() -> None:
    """Know a checkpoint before you load it.

    ckptscan reads only the headers of safetensors files and says what is inside: tensors, shapes,
    dtypes, counts and memory, without loading a weight.

    \b
    Example:
      ckptscan inspect Qwen2-57B-A14B-Instruct/
    """


def main() -> None:
    """The console script."""
    gc.disable()  # a process of a second makes no garbage worth a third of its time
    atexit.register(gc.freeze)  # nor at its end: what is left goes with the process, unlooked at
    if sys.stdout is None:  # closed by the caller: `>&-`
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    cli(prog_name="ckptscan")
