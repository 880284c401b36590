"""`ckptscan cache`: what is kept of remote checkpoints, and how to be rid of it."""

from __future__ import annotations

import json

import click

from ckptscan.commands.help import Command
from ckptscan.commands.params import format_option
from ckptscan.version import schema


@click.group("cache", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show or clear what is kept of remote checkpoints.

    Headers, indexes and configs that were read over the net are kept, so that the next reading
    asks for nothing that has not changed. They lie in CKPTSCAN_CACHE, or in the folder ckptscan of
    the user's cache, readable by their owner alone; what was not used for longest goes first.

    \b
    Examples:
      ckptscan cache info
      ckptscan cache clear
    """


@command.command("info", cls=Command)
@format_option(("text", "json"))
def info(format_name: str) -> None:
    """Say where the cache lies and what it holds.

    \b
    Example:
      ckptscan cache info
    """
    from ckptscan.report import words
    from ckptscan.sources import cache

    usage, folder = cache.usage(), cache.folder()
    if format_name == "json":
        rooms = {name: {"files": room[0], "bytes": room[1]} for name, room in usage.rooms.items()}
        document = {
            "schema": schema("cache"),
            "folder": folder,
            "rooms": rooms,
            "bytes": usage.nbytes,
            "bound": cache.BOUND,
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(words.printable(folder))
    for name, (files, nbytes) in usage.rooms.items():
        click.echo(f"  {name:<9} {files:>7,} {words.nbytes(nbytes):>11}")
    kept = f"  {'in all':<9} {usage.files:>7,} {words.nbytes(usage.nbytes):>11}"
    click.echo(f"{kept} of at most {words.nbytes(cache.BOUND)}")


@command.command("clear", cls=Command)
def clear() -> None:
    """Remove everything that is kept, and nothing else.

    \b
    Example:
      ckptscan cache clear
    """
    from ckptscan.report import words
    from ckptscan.sources import cache

    gone = cache.clear()
    click.echo(f"removed {words.plural(gone.files, 'file')}, {words.nbytes(gone.nbytes)}")
