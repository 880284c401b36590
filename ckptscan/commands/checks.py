"""`ckptscan checks`: every check with its code, name and severity."""

from __future__ import annotations

import click

from ckptscan.commands.output import write
from ckptscan.commands.params import Codes


@click.command("checks")
@click.argument("codes", nargs=-1, type=Codes(), metavar="[CODE]...")
def command(codes: tuple[tuple[str, ...], ...]) -> None:
    """List the checks that audit runs: code, severity, name and what each finds.

    \b
    Examples:
      ckptscan checks
      ckptscan checks H I
    """
    from ckptscan.checks import all_checks, codes_of

    wanted = codes_of(sum(codes, ()))
    checks = [check for check in all_checks() if not wanted or check.code in wanted]
    width = max(len(check.name) for check in checks)
    write(
        f"{check.code} {check.severity:7} {check.name:{width}} "
        f"{check.documentation.partition(chr(10))[0]}"
        for check in checks
    )
