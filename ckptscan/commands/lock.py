"""`ckptscan lock`: what a checkpoint is, in a file that later audits hold it against."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckptscan.commands.files import Output, output_options
from ckptscan.commands.help import Command
from ckptscan.commands.params import set_options, source_argument, source_options
from ckptscan.commands.telling import note

if TYPE_CHECKING:
    from ckptscan.sources import Access


@click.command("lock", cls=Command)
@source_argument
@output_options("the source's name with .lock.json")
@set_options
@source_options
def command(
    source: str,
    output: Output,
    set_name: str | None,
    all_sets: bool,
    access: Access,
) -> None:
    """Write down what a checkpoint is, to see later whether it still is.

    A lock holds every tensor with its dtype, shape and file, the size and the sha256 of the header
    of each weight file, and the sha256 of configs, tokenizers, templates and code. `ckptscan audit
    --lock FILE` names each drift. Weights are not read: two that differ in values alone are told
    apart only where their sha256 is known, as from the Hub.

    \b
    Example:
      ckptscan lock Qwen/Qwen2-7B -o qwen2.lock.json
      ckptscan audit Qwen/Qwen2-7B --lock qwen2.lock.json
    """
    from ckptscan.lock import open_for_lock, written
    from ckptscan.report import words
    from ckptscan.sources import open_source
    from ckptscan.sources.own import folders_of, refuse_inside, write_own

    opened = open_source(source, access)
    name = opened.origin.title.replace("/", "--").removesuffix(".safetensors")
    path = output.at(f"{words.printable(name)}.lock.json")
    inside = folders_of([source])
    refuse_inside(path, inside)
    _, lock = open_for_lock(opened, set_name, all_sets)
    text = written(lock)
    write_own(path, text, inside)
    tensors, files = words.plural(lock.count, "tensor"), words.plural(len(lock.files), "file")
    beside = words.plural(len(lock.others), "file")
    size = words.nbytes(len(text))
    note(f"{path}: {size} for {tensors} in {files}, and {beside} beside them")
