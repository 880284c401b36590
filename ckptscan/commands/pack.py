"""`ckptscan pack`: the headers of a checkpoint in one small file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import Command
from ckptscan.commands.params import source_argument, source_options
from ckptscan.commands.telling import note, tell

if TYPE_CHECKING:
    from ckptscan.sources import Access


@click.command("pack", cls=Command)
@source_argument
@output_options("the source's name with .ckptpack")
@source_options
def command(source: str, output: Output, access: Access) -> None:
    """Write the headers of a checkpoint into one small file.

    A pack holds every header byte for byte with the files' sizes, the indexes and the small json
    files, so that a report on 689 GB fits into a bug report. It is a source like any other: inspect
    it where the weights are not. It asserts what its writer saw, and proves nothing.

    \b
    Example:
      ckptscan pack DeepSeek-V3/ -o deepseek-v3.ckptpack
      ckptscan inspect deepseek-v3.ckptpack
    """
    from ckptscan.report import words
    from ckptscan.sources import open_source
    from ckptscan.sources.pack import write_pack
    from ckptscan.sources.spec import PACK_SUFFIX

    opened = open_source(source, access)
    name = opened.origin.title.replace("/", "--").removesuffix(".safetensors")
    path = output.at(f"{words.printable(name)}{PACK_SUFFIX}")
    written = write_pack(opened, path)
    note(
        f"{path}: {words.nbytes(written.pack_bytes)} with the headers of "
        f"{words.nbytes(written.source_bytes)} in {words.plural(written.listed, 'file')}"
    )
    for left_out in written.left_out:
        tell(f"left out: {words.label(left_out)}: no pack holds such a name")
