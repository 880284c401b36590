"""The tensors in the order of the data: `name: torch.Size([3584, 3584])`, layers folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.structure import Structure
from ckptscan.structure.flow import Step, expanded, flow


class Row(NamedTuple):
    """A tensor, or the first of those that stand `times` times; `within` are the runs' indices."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    role: str
    times: int
    within: tuple[IndexSet, ...]


def report(structure: Structure, layout: Layout) -> Iterator[str]:
    """The lines of the view; a blank one where a run of layers begins or ends."""
    before: Sequence[IndexSet] | None = None
    for row in flow_rows(structure, layout):
        runs = row.within[:1]
        if before is not None and runs != before and not layout.expand:
            yield ""
        before = runs
        yield _line(row)


def flow_rows(structure: Structure, layout: Layout) -> Iterator[Row]:
    """The tensors in the order of the data: the first of each run, or all with `expand`."""
    if layout.expand:
        for name, step in expanded(structure.tree):
            yield _row(step, name, step.end.family.copies)
        return
    yield from (_row(step, step.name) for step in flow(structure.tree))


def _row(step: Step, name: str, times: int | None = None) -> Row:
    family = step.end.family
    many = step.end.tensors if times is None else times
    return Row(
        name, family.shape, family.dtype.name, step.end.role.name, many,
        step.axes if times is None else (),
    )  # fmt: skip


def _line(row: Row) -> str:
    line = f"{words.label(row.name)}: torch.Size({words.shape(row.shape)})"
    if row.times > 1:
        within = " x ".join(words.indices(axis) for axis in row.within if len(axis) > 1)
        line += f"  x {row.times:,}" + (f" ({within})" if within else "")
    return line
