"""`ckptscan inspect`: everything about a checkpoint, from headers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from ckptscan.commands import show_error
from ckptscan.commands.named import expand_all
from ckptscan.commands.output import columns, marks, write
from ckptscan.commands.params import Match, format_option, set_options, source_options
from ckptscan.errors import CkptscanError
from ckptscan.report.options import FORMATS, SORTS, VIEWS, Layout
from ckptscan.report.words import printable

if TYPE_CHECKING:
    from ckptscan.sources import Access
    from ckptscan.structure import Structure

FAULTS = 1


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
@click.option(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    help="Only the first N rows; in the tree N a module.",
)
@click.option("--expand", "expanded", is_flag=True, help="Every layer, in the view flow.")
@click.option("--peek", is_flag=True, help="Read the few bytes that tell a packed shape.")
@format_option(FORMATS)
@set_options
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    view: str,
    matches: Callable[[str], bool] | None,
    depth: int | None,
    sort: str,
    top: int | None,
    expanded: bool,
    peek: bool,
    format_name: str,
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
    """
    from ckptscan.sources import expand

    if format_name == "latex" and (view != "formula" or len(sources) > 1):
        raise click.UsageError("latex is a format of one source's --view formula")
    layout = Layout(view, depth, sort, top, columns(), expanded, marks())
    ask = _Ask(matches, set_name, all_sets, peek, access)
    if len(sources) == 1:
        specs = expand(sources[0])
        if len(specs) == 1:
            ctx.exit(_one(specs[0], ask, format_name, layout))
        ctx.exit(_several(specs, [], ask, format_name, layout))
    specs, errors = expand_all(sources)
    ctx.exit(_several(specs, errors, ask, format_name, layout))


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


def _one(spec: str, ask: _Ask, format_name: str, layout: Layout) -> int:
    """Report on one source; gives the exit code."""
    from ckptscan.report import report
    from ckptscan.report.faults import remark_lines

    structure = ask.describe(spec)
    write(report(structure, format_name, layout))
    if format_name == "csv" or (format_name == "text" and layout.view != "tree"):
        _remark(remark_lines(structure.checkpoint))
    if structure.rows == ():
        click.echo("hint: no name matches; a glob must match the whole of it", err=True)
    return 0 if structure.checkpoint.is_sound else FAULTS


def _several(
    specs: Sequence[str],
    errors: list[tuple[str, CkptscanError]],
    ask: _Ask,
    format_name: str,
    layout: Layout,
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
    write(report_many(structures, format_name, layout, errors))
    if format_name != "json":
        for structure in structures:
            origin = structure.checkpoint.origin
            _remark(f"{origin.spec}: {line}" for line in remark_lines(structure.checkpoint))
    for spec, failed in errors:
        show_error(failed, spec)
    if errors:
        return max(failed.exit_code for _, failed in errors)
    return 0 if all(structure.checkpoint.is_sound for structure in structures) else FAULTS


def _remark(lines: Iterable[str]) -> None:
    """What has no place in the table that was asked for, on stderr."""
    for line in lines:
        click.echo(printable(line), err=True)
