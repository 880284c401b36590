"""`ckptscan doctor`: what ckptscan stands on here, and what is wrong with it."""

from __future__ import annotations

import click

from ckptscan.commands.help import REACH, Command, under
from ckptscan.commands.output import columns, write
from ckptscan.commands.params import format_option, offline_option
from ckptscan.errors import CkptscanError

TIMEOUT = 5.0


@click.command("doctor", cls=Command)
@format_option(("text", "json"))
@under(REACH, offline_option)
@click.pass_context
def command(ctx: click.Context, format_name: str, offline: bool) -> None:
    """Say what ckptscan stands on here: packages, extras, caches, cards, the Hub, a token.

    The Hub, or what HF_ENDPOINT names, is asked once, for five seconds at most. Whether there is a
    token is told, what it is never. The exit code is 3 where something that is needed is wrong.

    \b
    Examples:
      ckptscan doctor
      ckptscan doctor --offline --format json
    """
    from ckptscan.doctor import examine
    from ckptscan.report.doctor import report

    health = examine(offline, TIMEOUT)
    write(report(health, format_name, columns()))
    ctx.exit(CkptscanError.exit_code if health.problems else 0)
