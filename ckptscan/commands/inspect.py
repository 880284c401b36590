"""`ckptscan inspect`: everything about a checkpoint, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from ckptscan.commands import show_error
from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import READ, SHOW, Choice, Command, under
from ckptscan.commands.named import expand_all
from ckptscan.commands.params import (
    PEEK_HELP,
    Match,
    format_option,
    set_options,
    source_options,
    sources_argument,
)
from ckptscan.commands.telling import note, tell
from ckptscan.errors import CkptscanError
from ckptscan.report.options import FIRST_VIEW, FORMATS, PARQUET, SORTS, VIEW_OF, VIEWS, Layout

if TYPE_CHECKING:
    from ckptscan.sources import Access
    from ckptscan.structure import Structure

FAULTS = 1
_TABLES = ("csv", "jsonl", PARQUET)  # rows alone; what else is to be said goes to stderr


@click.command("inspect", cls=Command)
@sources_argument
@under(
    SHOW,
    click.option(
        "--view",
        type=Choice(VIEWS),
        metavar="VIEW",
        help=f"{', '.join(VIEWS)}.  [default: tree; summary in markdown]",
    ),
    click.option("--match", "matches", type=Match(), help="Only tensors whose name matches."),
    click.option(
        "--depth", type=click.IntRange(1), metavar="N", help="Levels of the tree.  [default: all]"
    ),
    click.option(
        "--sort", type=Choice(SORTS), default="name", show_default=True, help="Order of rows."
    ),
    click.option(
        "--top",
        type=click.IntRange(1),
        metavar="N",
        help="Only the first N rows; in the tree N a module.",
    ),
    click.option("--expand", "expanded", is_flag=True, help="Every layer, in the view flow."),
)
@under(READ, set_options, click.option("--peek", is_flag=True, help=PEEK_HELP))
@format_option((*FORMATS, PARQUET))
@output_options("stdout")
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    view: str | None,
    matches: Callable[[str], bool] | None,
    depth: int | None,
    sort: str,
    top: int | None,
    expanded: bool,
    peek: bool,
    format_name: str,
    output: Output,
    set_name: str | None,
    all_sets: bool,
    access: Access,
) -> None:
    """Show what a checkpoint holds: modules, parameters, attention, memory.

    SOURCE is a directory, a .safetensors file, an index, a snapshot in the Hugging Face cache, a
    header pack, a repository of the Hub (org/name, hf://org/name@revision/folder, or its address),
    https://, s3://, gs://, az:// or ms://org/name. Several sources give a line each and a total.
    Only headers are read, of remote files by byte ranges.

    \b
    Examples:
      ckptscan inspect Qwen2-57B-A14B-Instruct/
      ckptscan inspect Qwen/Qwen2-57B-A14B-Instruct --revision main
      ckptscan inspect DeepSeek-V3/ --view modules
      ckptscan inspect Qwen2-VL-7B/ --view formula --match 'visual.*'
      ckptscan inspect Llama-3.1-8B/ --match '*.self_attn.*' --depth 4
      ckptscan inspect model.safetensors --format json
      ckptscan inspect Qwen/Qwen2-7B --format parquet -o tensors.parquet
    """
    specs, errors = expand_all(sources)
    if errors and len(sources) == 1:
        raise errors[0][1]
    is_one = len(specs) + len(errors) == 1
    view = _view(view, format_name, is_one=is_one)
    if format_name == PARQUET:
        from ckptscan.report.parquet import pyarrow

        output.refuse_terminal(format_name)
        pyarrow()
    layout = Layout(view, depth, sort, top, output.columns(), expanded, output.marks())
    ask = _Ask(matches, set_name, all_sets, peek, access)
    if is_one:
        ctx.exit(_one(specs[0], ask, format_name, layout, output))
    ctx.exit(_several(specs, errors, ask, format_name, layout, output))


def _view(asked: str | None, format_name: str, *, is_one: bool) -> str:
    """What to show; raises UsageError for a format of another view, or of one source."""
    only = VIEW_OF.get(format_name)
    if only and (not is_one or asked not in (None, only)):
        raise click.UsageError(f"{format_name} is a format of one source's --view {only}")
    return asked or FIRST_VIEW[format_name]


class _Ask(NamedTuple):
    """Which tensors of which set are meant."""

    matches: Callable[[str], bool] | None
    set_name: str | None
    all_sets: bool
    peek: bool
    access: Access

    def describe(self, spec: str) -> Structure:
        """The structure of what is asked for in a source."""
        from ckptscan.checkpoint import load, peek
        from ckptscan.sources import open_source
        from ckptscan.structure import describe

        source = open_source(spec, self.access)
        checkpoint = load(source, self.set_name, self.all_sets)
        return describe(checkpoint, self.matches, peek(source, checkpoint) if self.peek else None)


def _one(spec: str, ask: _Ask, format_name: str, layout: Layout, output: Output) -> int:
    """Report on one source; gives the exit code."""
    from ckptscan.report.faults import remark_lines

    structure = ask.describe(spec)
    if format_name == PARQUET:
        from ckptscan.report.parquet import written

        output.write_bytes(written(structure, layout))
    else:
        from ckptscan.report import report

        output.write(report(structure, format_name, layout))
    if format_name in _TABLES or (format_name == "text" and layout.view not in ("tree", "summary")):
        _remark(remark_lines(structure.checkpoint))
    if structure.rows == ():
        note("hint: no name matches; a glob must match the whole of it")
    return 0 if structure.checkpoint.is_sound else FAULTS


def _several(
    specs: Sequence[str],
    errors: list[tuple[str, CkptscanError]],
    ask: _Ask,
    format_name: str,
    layout: Layout,
    output: Output,
) -> int:
    """Report on several sources, those that can't be looked at left out; gives the exit code."""
    from ckptscan.report.faults import remark_lines
    from ckptscan.report.many import report_many

    structures = []
    for spec in specs:
        try:
            structures.append(ask.describe(spec))
        except CkptscanError as error:
            errors.append((spec, error))
    output.write(report_many(structures, format_name, layout, errors))
    if format_name != "json":
        for structure in structures:
            origin = structure.checkpoint.origin
            _remark(remark_lines(structure.checkpoint), f"{origin.spec}: ")
    for spec, failed in errors:
        show_error(failed, spec)
    if errors:
        return max(failed.exit_code for _, failed in errors)
    return 0 if all(structure.checkpoint.is_sound for structure in structures) else FAULTS


def _remark(lines: Iterable[str], about: str = "") -> None:
    """What has no place in the table that was asked for, on stderr."""
    for line in lines:
        (note if line.startswith("note: ") else tell)(about + line)
