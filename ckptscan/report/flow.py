"""The tensors in the order of the data: `name: torch.Size([3584, 3584])`, layers folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from ckptscan.names import IndexSet
from ckptscan.report import words
from ckptscan.report.options import Layout
from ckptscan.structure import Structure
from ckptscan.structure.flow import Step, flow


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
    steps = flow(structure.tree)
    if not layout.expand:
        yield from (_row(step, step.name) for step in steps)
        return
    yield from _expanded(list(steps))


def _row(step: Step, name: str, times: int | None = None) -> Row:
    family = step.end.family
    many = step.end.tensors if times is None else times
    return Row(
        name, family.shape, family.dtype.name, step.end.role.name, many,
        step.axes if times is None else (),
    )  # fmt: skip


def _expanded(steps: Sequence[Step]) -> Iterator[Row]:
    """All tensors: a run's steps once for each of its indices, in their order."""
    from itertools import groupby

    for runs, group in groupby(steps, key=lambda step: step.axes[:1]):
        members = list(group)
        if not runs:
            yield from (_row(step, step.name, step.end.family.copies) for step in members)
            continue
        for index in runs[0]:
            for step in members:
                for name in _names(step, index):
                    yield _row(step, name, step.end.family.copies)


def _names(step: Step, outer: int) -> Iterator[str]:
    """The names of a step's tensors in one layer of its outermost run."""
    first = [next(iter(axis)) for axis in step.axes]
    pieces = _pieces(step.name, first, step.axes)
    for inner in product(*step.axes[1:]):
        indices = (outer, *inner)
        written = [f"{i:0{axis.width}d}" for i, axis in zip(indices, step.axes, strict=True)]
        yield "".join(a + b for a, b in zip(pieces, [*written, ""], strict=True))


def _pieces(name: str, first: Sequence[int], axes: Sequence[IndexSet]) -> list[str]:
    """The parts of a name between the indices of its runs."""
    pieces, rest = [], name
    for index, axis in zip(first, axes, strict=True):
        written = f"{index:0{axis.width}d}"
        before, rest = _cut(rest, written)
        pieces.append(before)
    return [*pieces, rest]


def _cut(text: str, index: str) -> tuple[str, str]:
    """The text before and after the first segment, or number, that is this index."""
    import re

    match = re.search(rf"(?<![0-9A-Za-z]){index}(?![0-9A-Za-z])", text)
    return (text[: match.start()], text[match.end() :]) if match else (text, "")


def _line(row: Row) -> str:
    line = f"{words.label(row.name)}: torch.Size({words.shape(row.shape)})"
    if row.times > 1:
        within = " x ".join(map(words.indices, row.within))
        line += f"  x {row.times:,}" + (f" ({within})" if within else "")
    return line
