"""`ckptscan explain`: what one check finds, why it matters, and what to do."""

from __future__ import annotations

import click

from ckptscan.commands.completing import complete_codes
from ckptscan.commands.help import Command
from ckptscan.commands.output import columns, write


@click.command("explain", cls=Command)
@click.argument("codes", nargs=-1, required=True, metavar="CODE...", shell_complete=complete_codes)
def command(codes: tuple[str, ...]) -> None:
    """Say what a check finds, why it matters and what to do, by its code or name.

    \b
    Examples:
      ckptscan explain I002
      ckptscan explain offset-gap
    """
    from ckptscan.checks import find_check
    from ckptscan.report import catalogue

    write(catalogue.explain_lines([find_check(code) for code in codes], columns()))
