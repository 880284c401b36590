"""`ckptscan audit`: what is wrong with a checkpoint, told by checks that have codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckptscan.commands import BUG, show_error
from ckptscan.commands.deep import Deep, deep_options
from ckptscan.commands.named import expand_all
from ckptscan.commands.output import columns, write
from ckptscan.commands.params import Codes, format_option, set_options, source_options
from ckptscan.errors import CkptscanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckptscan.checks import Audit, Selection
    from ckptscan.sources import Access

FOUND = 1
FORMATS = ("text", "json", "markdown", "github", "sarif")  # report.findings.FORMATS
NEVER = "never"


@click.command("audit")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--select", type=Codes(), multiple=True, help="Only these checks.  [default: all]")
@click.option("--ignore", type=Codes(), multiple=True, help="Not these checks.")
@click.option(
    "--fail-on",
    type=click.Choice(("error", "warning", "info", NEVER)),
    default="error",
    show_default=True,
    help="Exit with 1 if a finding is as bad.",
)
@deep_options
@format_option(FORMATS)
@set_options
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    select: tuple[tuple[str, ...], ...],
    ignore: tuple[tuple[str, ...], ...],
    fail_on: str,
    format_name: str,
    set_name: str | None,
    all_sets: bool,
    access: Access,
    deep: Deep,
) -> None:
    """Find what is wrong with a checkpoint before it costs a night.

    Checks look at headers, indexes, configs and the list of files; no weight is read, unless --deep
    asks for it. Each finding has a code, says where it lies, what was expected and seen, and what
    to do. SOURCE is what inspect takes. `ckptscan checks` lists the checks, `ckptscan explain CODE`
    says what one is for.

    \b
    Examples:
      ckptscan audit DeepSeek-V3/
      ckptscan audit Qwen/Qwen2-7B --fail-on warning
      ckptscan audit Llama-3.1-8B/ --select H,I --ignore I007
      ckptscan audit model.safetensors --format sarif
      ckptscan audit Llama-3.1-8B/ --deep --match 'model.layers.3.*'
    """
    from ckptscan.checks import Selection
    from ckptscan.report.findings import report

    selection = Selection(sum(select, ()), sum(ignore, ()))
    specs, errors = expand_all(sources)
    audits: list[Audit] = []
    for spec in specs:
        try:
            audits.append(_audit(spec, selection, set_name, all_sets, access, deep))
        except CkptscanError as error:
            errors.append((spec, error))
    if audits:
        write(report(audits, format_name, columns()))
    for spec, failed in errors:
        show_error(failed, spec)
    ctx.exit(_exit_code(audits, [error for _, error in errors], fail_on))


def _audit(
    spec: str,
    selection: Selection,
    set_name: str | None,
    all_sets: bool,
    access: Access,
    deep: Deep,
) -> Audit:
    """What the selected checks find in a source."""
    from ckptscan.checkpoint import load
    from ckptscan.checks import audit
    from ckptscan.config import AUDITED
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    source = open_source(spec, access)
    structure = describe(load(source, set_name, all_sets, AUDITED))
    given = deep.given(source, structure)
    return audit(structure, selection.select, selection.ignore, given=given)


def _exit_code(audits: Sequence[Audit], errors: Sequence[CkptscanError], fail_on: str) -> int:
    """A bug of ours before what could not be read, that before what was found."""
    crashes = [crash for audit in audits for crash in audit.crashed]
    if crashes:
        for crash in crashes:
            click.echo(crash.traceback, err=True)
        click.echo("This is a bug of ckptscan. Please report it with the text above.", err=True)
        return BUG
    if errors:
        return max(error.exit_code for error in errors)
    found = fail_on != NEVER and any(audit.reaches(fail_on) for audit in audits)
    return FOUND if found else 0
