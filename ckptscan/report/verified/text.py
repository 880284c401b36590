"""A verification for a terminal: what was loaded, what it holds, what does not match."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.report import words
from ckptscan.report.verified import phrases
from ckptscan.verify.values import Verification

_SHOWN = 200  # tensors; json lists all
_FAULTS = 100
_NARROW = 32  # characters of a name beside the figures, at least


def report(found: Verification, width: int | None) -> Iterator[str]:
    """The device, the tensors, then the verdict."""
    yield f"{words.label(found.structure.checkpoint.origin.title)} on {phrases.device(found)}"
    yield f"loaded   {phrases.amount(found)}"
    yield ""
    yield from _tensors(found, width)
    for trial in found.trials:
        what = f"{words.label(trial.dtype)} {trial.operation}: {phrases.kernel(trial)}"
        yield from words.wrapped(f"kernel   {what}", width, 0, 9)
    if found.weights:
        yield f"unpacked {phrases.unpacked(found)}"
    yield f"memory   {phrases.memory(found)}"
    yield from words.wrapped(f"rates    {phrases.rates(found)}", width, 0, 9)
    if found.loads:
        yield from words.wrapped(f"load     {phrases.loads(found)} [estimated]", width, 0, 9)
    faults = list(phrases.faults(found))
    for fault in faults[:_FAULTS]:
        yield from words.wrapped(f"mismatch {fault}", width, 0, 9)
    if len(faults) > _FAULTS:
        yield f"mismatch {len(faults) - _FAULTS:,} more; --format json lists them"
    yield f"match    {phrases.verdict(found)}"
    for note in phrases.notes(found):
        yield from words.wrapped(f"note: {note}", width)


def _tensors(found: Verification, width: int | None) -> Iterator[str]:
    """A line for each loaded tensor, the figures in columns."""
    rows = [phrases.cells(probe) for probe in found.probes[:_SHOWN]]
    if not rows:
        return
    table = [list(phrases.HEADS), *rows]
    wide = [max(len(row[place]) for row in table) for place in range(len(phrases.HEADS))]
    if width is not None:
        wide[0] = min(wide[0], max(_NARROW, width - sum(wide[1:]) - len(wide) + 1))
    for row, probe in zip(table, (None, *found.probes), strict=False):
        name = _ending(row[0], wide[0]).ljust(wide[0])
        texts = (cell.ljust(size) for cell, size in zip(row[1:3], wide[1:3], strict=True))
        numbers = (cell.rjust(size) for cell, size in zip(row[3:], wide[3:], strict=True))
        yield " ".join((name, *texts, *numbers))
        if probe is not None:
            yield from (f"  {line}" for line in phrases.details(probe))
    more = len(found.probes) - _SHOWN
    if more > 0:
        yield f"... {more:,} more; --format json lists them"
    yield ""


def _ending(name: str, size: int) -> str:
    """A name that is too long by its end, where names of one model differ."""
    return name if len(name) <= size else f"...{name[3 - size :]}"
