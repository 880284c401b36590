"""`ckptscan browse`: look around in a checkpoint, in the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ckptscan.commands import BUG
from ckptscan.commands.help import Command
from ckptscan.commands.params import set_options, source_argument, source_options
from ckptscan.commands.telling import tell_bug

if TYPE_CHECKING:
    from ckptscan.sources import Access


@click.command("browse", cls=Command)
@source_argument
@set_options
@source_options
@click.pass_context
def command(
    ctx: click.Context, source: str, set_name: str | None, all_sets: bool, access: Access
) -> None:
    """Look around in a checkpoint: its tree, families, layers, findings.

    The tree of modules opens and closes; beside it stand the facts of the chosen line (shape,
    dtype, bytes, file and byte range), its families, the layers as a strip, and what audit finds.
    `/` searches all names, `?` lists the keys. SOURCE is what inspect takes. Needs a terminal and
    the extra `tui`.

    \b
    Example:
      ckptscan browse DeepSeek-V3/
      ckptscan browse Qwen/Qwen2-7B --revision main
    """
    _require_screen()
    from ckptscan.browse.screens.app import run
    from ckptscan.checkpoint import load
    from ckptscan.config import AUDITED
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    structure = describe(load(open_source(source, access), set_name, all_sets, AUDITED))
    code = run(structure)
    if code is None:
        tell_bug("")
    ctx.exit(BUG if code is None else code)


def _require_screen() -> None:
    """Raises UsageError where nothing can be drawn."""
    from importlib.util import find_spec

    from ckptscan.errors import UsageError

    if find_spec("textual") is None:
        raise UsageError("browse draws with Textual", "pip install 'ckptscan[tui]'")
    # Textual reads from stdin and draws on stderr
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise UsageError("browse needs a terminal", "inspect writes what can be piped")
    if os.environ.get("TERM", "dumb") == "dumb" and os.name != "nt":
        raise UsageError("browse needs a terminal that can draw; TERM says none", "set TERM")
