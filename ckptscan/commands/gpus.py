"""`ckptscan gpus`: the cards that a plan knows, with their real bytes."""

from __future__ import annotations

import click

from ckptscan.commands.help import Command
from ckptscan.commands.output import columns, write
from ckptscan.commands.params import format_option


@click.command("gpus", cls=Command)
@format_option(("text", "json", "markdown"))
def command(format_name: str) -> None:
    """List the cards that `plan --gpu` knows, with the bytes that they really have.

    The name promises 80 GB, the driver counts 81,559 MiB, torch sees 79.18 GiB: engines count from
    the last. Each figure is a published reading; `-` is what nobody published.

    \b
    Example:
      ckptscan gpus --format json
    """
    from ckptscan.hardware import CARDS
    from ckptscan.report.cards import report

    write(report(CARDS, format_name, columns()))
