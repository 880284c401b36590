"""`ckptscan verify`: a few tensors loaded onto a device, and held against what headers promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckptscan.commands import INTERRUPTED, show_error
from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import READ, WRITE, Command, under
from ckptscan.commands.params import (
    Size,
    format_option,
    set_option,
    source_argument,
    source_options,
)
from ckptscan.commands.telling import meter, tell
from ckptscan.commands.verify_params import Device, wish_options

if TYPE_CHECKING:
    from ckptscan.sources import Access
    from ckptscan.verify import Verification, Wish

FORMATS = ("text", "json", "markdown")  # report.verified.FORMATS
MISMATCH = 1


@click.command("verify", cls=Command)
@source_argument
@under(
    "Where to load it",
    click.option("--device", type=Device(), default="auto", show_default=True,
                 help="auto, cpu, cuda, cuda:1 or mps."),
    click.option("--memory", "room", type=Size(),
                 help="Let the device hold no more at once, as a smaller one would."),
)  # fmt: skip
@under(READ, set_option, wish_options)
@under(
    WRITE,
    format_option(FORMATS),
    click.option("--digest", "digests", is_flag=True, help="Tell the sha256 of what is loaded."),
    output_options("stdout"),
)
@source_options
@click.pass_context
def command(
    ctx: click.Context,
    source: str,
    device: str,
    wish: Wish,
    digests: bool,
    room: int | None,
    format_name: str,
    output: Output,
    set_name: str | None,
    access: Access,
) -> None:
    """Load a few layers onto the device and confirm what the headers promise.

    Read twice and compared byte for byte: the ends and a middle of each run of layers, some
    experts, the ends of tables, and whatever audit finds odd. The report says what memory grew by
    and should have, what the numbers are, which operations run in the stored dtypes, and how long
    a full load takes. Nothing is written to disk. Where there is no GPU, the host stands in.
    SOURCE is what inspect takes.

    \b
    Examples:
      ckptscan verify Qwen/Qwen2-7B --device cuda
      ckptscan verify Llama-3.1-8B/ --layers 0,31 --digest
      ckptscan verify model.safetensors --all --device cpu
    """
    from dataclasses import replace

    from ckptscan.checkpoint import load
    from ckptscan.checks import audit
    from ckptscan.checks.odd import odd_rows
    from ckptscan.report.verified import report
    from ckptscan.sources import open_source
    from ckptscan.structure import describe
    from ckptscan.verify import verify

    opened = open_source(source, access)
    structure = describe(load(opened, set_name))
    if wish.is_open:
        odd = odd_rows(audit(structure).findings, structure.checkpoint.table)
        wish = replace(wish, odd=odd)
    found = verify(opened, structure, wish, device, meter("tensors"), digests, room)
    output.write(report(found, format_name, output.columns()))
    ctx.exit(_exit_code(found))


def _exit_code(found: Verification) -> int:
    """What ended it early comes before what was found until then."""
    if found.error is not None:
        show_error(found.error)
        return found.error.exit_code
    if found.stopped:
        tell(f"interrupted after {found.nbytes:,} of {found.choice.nbytes:,} bytes")
        return INTERRUPTED
    return 0 if found.match else MISMATCH
