"""What a checkpoint is, in a few lines: the head of the text report."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checkpoint import Checkpoint
from ckptscan.report import words
from ckptscan.report.faults import PACK_NOTE, gaps_line
from ckptscan.structure import Layers, Structure

_SHOWN_SETS = 6
_SHOWN_CONTAINERS = 4
_COLUMN = 11  # where values begin


def headline(structure: Structure, width: int | None) -> Iterator[str]:
    """The title, then a line for each fact; long ones are wrapped to the width."""
    checkpoint = structure.checkpoint
    files = words.plural(len(structure.files), "file")
    facts = [
        ("class", words.label(checkpoint.config.architecture or "")),
        ("elements", _with_short(structure.numel)),
        ("tensors", f"{structure.tensors:,} in {files}"),
        ("size", _with_unit(structure.nbytes)),
        ("dtypes", _dtype_shares(structure)),
        ("layers", _layers_line(structure)),
        ("parts", _parts_line(checkpoint)),
        ("sets", _sets_line(checkpoint)),
        ("commit", checkpoint.origin.commit or ""),
        ("pack", PACK_NOTE if checkpoint.origin.packed else ""),
        ("matched", _matched_line(structure)),
        ("warning", gaps_line(checkpoint)),
    ]
    yield words.label(checkpoint.origin.title)
    for name, value in facts:
        if value:
            first, *rest = words.wrapped(words.printable(value), width, _COLUMN, 0)
            yield f"  {name:<{_COLUMN - 2}}{first[_COLUMN:]}"
            yield from rest


def _with_short(count: int) -> str:
    """`57,409,064,960 (57.41 B)`; small counts need no second form."""
    short = words.short_count(count)
    return f"{count:,} ({short})" if count >= 1000 else short


def _with_unit(size: int) -> str:
    """`106.93 GiB (114,818,129,920 bytes)`."""
    unit = words.nbytes(size)
    return f"{unit} ({size:,} bytes)" if size >= 1024 else unit


def _dtype_shares(structure: Structure) -> str:
    whole = structure.nbytes
    return ", ".join(
        f"{words.label(use.dtype)} {words.share(use.nbytes, whole)}" for use in structure.dtypes
    )


def _layers_line(structure: Structure) -> str:
    """The outer containers of several children that hold most, each with its pattern."""
    outer = [one for one in structure.layers if one.count > 1 and not one.within]
    largest = sorted(outer, key=lambda one: -one.nbytes)[:_SHOWN_CONTAINERS]
    more = f"; {len(outer) - len(largest)} more" if len(outer) > len(largest) else ""
    return "; ".join(_layers_words(one) for one in outer if one in largest) + more


def _layers_words(layers: Layers) -> str:
    """`model.layers 0-2 | 3-60` where the kinds are runs, else `model.layers (A A B) x 12`."""
    if all(len(kind.indices.ranges) == 1 for kind in layers.kinds):
        pattern = " | ".join(str(kind.indices) for kind in layers.kinds)
    else:
        pattern = ", ".join(map(str, layers.layout))
    return f"{words.label(layers.container)} {words.label(pattern)}"


def _parts_line(checkpoint: Checkpoint) -> str:
    return "; ".join(
        f"{count} tensor-parallel parts{f' of {words.label(name)}' * bool(name)} hold the same "
        "names; shapes are those of one part"
        for name, count in checkpoint.parts.items()
    )


def _sets_line(checkpoint: Checkpoint) -> str:
    """The sets that are shown, and those that could be: not the parts of a shown one."""
    chosen = [one.name for one in checkpoint.sets if one.chosen]
    others = [one.name for one in checkpoint.sets if not one.chosen and one.within not in chosen]
    if len(checkpoint.sets) == 1:
        return ""
    shown = ", ".join(map(words.label, chosen[:_SHOWN_SETS]))
    line = f"{shown} ({checkpoint.choice})"
    if others:
        more = f" and {len(others) - _SHOWN_SETS:,} more" * (len(others) > _SHOWN_SETS)
        names = ", ".join(map(words.label, others[:_SHOWN_SETS]))
        line += f"; not shown: {names}{more} (--set NAME, --all)"
    return line


def _matched_line(structure: Structure) -> str:
    if structure.rows is None:
        return ""
    return f"{len(structure.rows):,} of {len(structure.checkpoint.table):,} tensors"
