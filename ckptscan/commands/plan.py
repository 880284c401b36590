"""`ckptscan plan`: the memory that a deployment will take, to the digit that the engine prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import SHOW, Command, under
from ckptscan.commands.params import format_option, set_option, source_argument, source_options
from ckptscan.commands.plan_local import local_options
from ckptscan.commands.plan_params import plan_options
from ckptscan.commands.plan_speed import speed_options
from ckptscan.commands.plan_train import train_options
from ckptscan.commands.plan_whatif import what_if_options

if TYPE_CHECKING:
    from ckptscan.plan import Ask
    from ckptscan.sources import Access
    from ckptscan.structure import Structure

FORMATS = ("text", "json", "markdown", "html")  # report.plans.FORMATS
NO_FIT = 1


@click.command("plan", cls=Command)
@source_argument
@set_option
@under("Cards and engine", plan_options)
@under("What if", what_if_options)
@under("Speed and loading", speed_options)
@under("Training", train_options)
@under("llama.cpp and transformers", local_options)
@under(
    SHOW,
    click.option("--fit", "asks_what_fits", is_flag=True,
                 help="Cards that hold it; with --gpu contexts by requests."),
    click.option("--require-fit", is_flag=True, help="Exit with 1 if it does not fit."),
    click.option("--explain", "explained", is_flag=True, help="Every term with its formula."),
    click.option("--expect", "expected", is_flag=True,
                 help="The log lines that the engine prints."),
    click.option("--command", "shows_command", is_flag=True, help="The command that serves it."),
)  # fmt: skip
@format_option(FORMATS)
@output_options("stdout")
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    asks: tuple[Ask, ...],
    asks_what_fits: bool,
    require_fit: bool,
    explained: bool,
    expected: bool,
    shows_command: bool,
    format_name: str,
    output: Output,
    set_name: str | None,
    access: Access,
) -> None:
    """Say what memory a deployment takes before a card is rented.

    From headers and config alone: what every rank holds, what is left for the cache of keys and
    values, how many tokens and requests that is, whether it fits and what to change. Each figure is
    exact, a named engine's formula, or labelled as what it is. SOURCE is what inspect takes;
    `ckptscan gpus` lists the cards.

    \b
    Examples:
      ckptscan plan Qwen/Qwen2-7B --gpu rtx4090 --max-len 8192
      ckptscan plan DeepSeek-V3/ --gpu 8xh200 --tp 8 --explain
      ckptscan plan Llama-3.1-70B/ --gpu h100 --tp 2 --requests 16 --require-fit
      ckptscan plan gpt-oss-120b/ --engine vllm-0.11 --engine vllm-0.21
      ckptscan plan Qwen2-7B/ --fit --max-len 32768 --requests 8
    """
    from ckptscan.checkpoint import load
    from ckptscan.plan import plan
    from ckptscan.report.plans import Shown, report
    from ckptscan.sources import open_source
    from ckptscan.structure import describe

    checkpoint = load(open_source(source, access), set_name)
    structure = describe(checkpoint)
    if asks_what_fits:
        ctx.exit(_fit(structure, asks, format_name, output, require_fit=require_fit))
    plans = [plan(structure, ask) for ask in asks]
    shown = Shown(explained, expected, shows_command, output.columns(), output.marks())
    output.write(report(checkpoint, plans, format_name, shown))
    ctx.exit(NO_FIT if require_fit and not all(one.fits for one in plans) else 0)


def _fit(
    structure: Structure,
    asks: tuple[Ask, ...],
    format_name: str,
    output: Output,
    *,
    require_fit: bool,
) -> int:
    """Write what holds the model, for each engine; NO_FIT where it is required and nothing does."""
    from ckptscan.plan.fit import holders, matrix
    from ckptscan.report.plans.fit import report

    found = [(holders if ask.devices is None else matrix)(structure, ask) for ask in asks]
    output.write(report(structure.checkpoint, found, format_name, output.columns()))
    return NO_FIT if require_fit and not all(one.holds for one in found) else 0
