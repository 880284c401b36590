"""`ckptscan inspect`: everything about a checkpoint, from headers alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING

import click

from ckptscan.commands import show_error
from ckptscan.commands.params import Match, set_options
from ckptscan.errors import SourceError
from ckptscan.report.options import FORMATS, SORTS, VIEWS, Layout

if TYPE_CHECKING:
    from ckptscan.structure import Structure

FAULTS = 1
UNREADABLE = 3
_LINES_AT_ONCE = 2000


@click.command("inspect")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--view", type=click.Choice(VIEWS), default="tree", show_default=True, help="What to show."
)
@click.option("--match", "matches", type=Match(), help="Only tensors whose name matches.")
@click.option(
    "--depth", type=click.IntRange(1), metavar="N", help="Levels of the tree.  [default: all]"
)
@click.option(
    "--sort", type=click.Choice(SORTS), default="name", show_default=True, help="Order of rows."
)
@click.option("--top", type=click.IntRange(1), metavar="N", help="Only the first N rows.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="How to write it.",
)
@set_options
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    view: str,
    matches: Callable[[str], bool] | None,
    depth: int | None,
    sort: str,
    top: int | None,
    format_name: str,
    set_name: str | None,
    all_sets: bool,
) -> None:
    """Show what a checkpoint holds: tensors, shapes, dtypes, counts, memory.

    SOURCE is a directory, a .safetensors file, an index, a snapshot in the Hugging Face cache or a
    header pack. Several sources give a line each and a total. Only headers are read.

    \b
    Examples:
      ckptscan inspect Qwen2-57B-A14B-Instruct/
      ckptscan inspect DeepSeek-V3/ --view layers
      ckptscan inspect Llama-3.1-8B/ --match '*.self_attn.*' --depth 4
      ckptscan inspect model.safetensors --format json
    """
    from ckptscan.report import report
    from ckptscan.sources import expand

    layout = Layout(view, depth, sort, top, _columns())
    specs = [spec for source in sources for spec in expand(source)]
    if len(specs) == 1:
        structure = _describe(specs[0], matches, set_name, all_sets)
        _write(report(structure, format_name, layout))
        ctx.exit(0 if structure.checkpoint.is_sound else FAULTS)
    from ckptscan.report.many import report_many

    structures, code = [], 0
    for spec in specs:
        try:
            structures.append(_describe(spec, matches, set_name, all_sets))
        except SourceError as error:
            show_error(error)
            code = UNREADABLE
    _write(report_many(structures, format_name, layout))
    faulty = any(not structure.checkpoint.is_sound for structure in structures)
    ctx.exit(code or (FAULTS if faulty else 0))


def _describe(
    spec: str, matches: Callable[[str], bool] | None, set_name: str | None, all_sets: bool
) -> Structure:
    from ckptscan.checkpoint import load
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    return describe(load(open_source(spec), set_name, all_sets), matches)


def _columns() -> int | None:
    """The width to write for: COLUMNS, or the terminal's; None where the output is piped."""
    stated = os.environ.get("COLUMNS", "")
    if stated.isascii() and stated.isdigit() and int(stated):
        return int(stated)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError):
        return None


def _write(lines: Iterable[str]) -> None:
    """Lines to stdout, in blocks: 200,000 lines take 0.1 s instead of 1."""
    waiting = iter(lines)
    while block := list(islice(waiting, _LINES_AT_ONCE)):
        sys.stdout.write("\n".join(block) + "\n")
    sys.stdout.flush()
