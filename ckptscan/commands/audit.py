"""`ckptscan audit`: what is wrong with a checkpoint, told by checks that have codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from ckptscan.commands import BUG, show_error
from ckptscan.commands.base import base_option, read_base
from ckptscan.commands.deep import Deep, deep_options
from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import READ, Choice, Command, under
from ckptscan.commands.named import expand_all
from ckptscan.commands.params import (
    Codes,
    format_option,
    set_options,
    source_options,
    sources_argument,
)
from ckptscan.commands.settings import Asked, Standing, settings_options, settle
from ckptscan.commands.telling import tell_bug
from ckptscan.errors import CkptscanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckptscan.checks import Audit
    from ckptscan.sources import Access
    from ckptscan.structure import Structure

FOUND = 1
# report.findings.FORMATS
FORMATS = ("text", "json", "markdown", "github", "sarif", "cyclonedx", "html")
NEVER = "never"


@click.command("audit", cls=Command)
@sources_argument
@under(
    "What to look for",
    click.option(
        "--select", type=Codes(), multiple=True, help="Only these checks.  [default: all]"
    ),
    click.option("--ignore", type=Codes(), multiple=True, help="Not these checks."),
    click.option(
        "--fail-on",
        type=Choice(("error", "warning", "info", NEVER)),
        help="Exit with 1 if a finding is as bad.  [default: error]",
    ),
)
@under("What to hold it against", settings_options, base_option)
@under(READ, set_options, deep_options)
@format_option(FORMATS)
@output_options("stdout")
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    sources: tuple[str, ...],
    select: tuple[tuple[str, ...], ...],
    ignore: tuple[tuple[str, ...], ...],
    fail_on: str | None,
    asked: Asked,
    base: str | None,
    format_name: str,
    output: Output,
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
      ckptscan audit my-lora/ --base Qwen/Qwen2-7B
      ckptscan audit model.safetensors --format sarif
      ckptscan audit Llama-3.1-8B/ --deep --match 'model.layers.3.*'
    """
    from ckptscan.report.findings import report

    specs, errors = expand_all(sources)
    standing = settle(asked, specs, sum(select, ()), sum(ignore, ()), fail_on)
    run = _Run(standing, read_base(base, access), deep, set_name, all_sets, access)
    audits: list[Audit] = []
    for spec in specs:
        try:
            audits.append(_audit(spec, run))
        except CkptscanError as error:
            errors.append((spec, error))
    audits = standing.settled(audits, is_whole=not errors)
    if audits:
        output.write(report(audits, format_name, output.columns()))
    for spec, failed in errors:
        show_error(failed, spec)
    ctx.exit(_exit_code(audits, [error for _, error in errors], standing.fail_on))


class _Run(NamedTuple):
    """What all sources of one run are audited by."""

    standing: Standing
    base: Structure | None
    deep: Deep
    set_name: str | None
    all_sets: bool
    access: Access


def _audit(spec: str, run: _Run) -> Audit:
    """What the selected checks find in a source."""
    from dataclasses import replace

    from ckptscan.checkpoint import load
    from ckptscan.checks import audit
    from ckptscan.config import AUDITED
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    source = open_source(spec, run.access)
    headers, witness = run.standing.witness()
    checkpoint = load(source, run.set_name, run.all_sets, AUDITED, witness)
    structure = describe(checkpoint)
    held = run.standing.given(spec, source, checkpoint, headers)
    read = run.deep.given(source, structure)
    given = replace(read, base=run.base, policy=held.policy, lock=held.lock)
    return audit(structure, *run.standing.selection, given=given)


def _exit_code(audits: Sequence[Audit], errors: Sequence[CkptscanError], fail_on: str) -> int:
    """A bug of ours before what could not be read, that before what was found."""
    crashes = [crash for audit in audits for crash in audit.crashed]
    if crashes:
        tell_bug("\n".join(crash.traceback for crash in crashes))
        return BUG
    if errors:
        return max(error.exit_code for error in errors)
    found = fail_on != NEVER and any(audit.reaches(fail_on) for audit in audits)
    return FOUND if found else 0
