"""`ckptscan checks`: every check with its code, name and severity."""

from __future__ import annotations

import click

from ckptscan.commands.help import Command
from ckptscan.commands.output import write
from ckptscan.commands.params import Codes, format_option


@click.command("checks", cls=Command)
@click.argument("codes", nargs=-1, type=Codes(), metavar="[CODE]...")
@format_option(("text", "json", "markdown"))
def command(codes: tuple[tuple[str, ...], ...], format_name: str) -> None:
    """List the checks that audit runs: code, severity, name and what each finds.

    As json or markdown with all that explain says of each.

    \b
    Examples:
      ckptscan checks
      ckptscan checks H I
      ckptscan checks --format markdown > checks.md
    """
    from ckptscan.checks import all_checks, codes_of
    from ckptscan.report import catalogue

    wanted = codes_of(sum(codes, ()))
    checks = [check for check in all_checks() if not wanted or check.code in wanted]
    if format_name == "json":
        write([catalogue.json_text(checks)])
    elif format_name == "markdown":
        write(catalogue.markdown_lines(checks))
    else:
        write(catalogue.text_lines(checks))
