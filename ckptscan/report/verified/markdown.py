"""A verification as markdown: a table of what was loaded, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.report.markdown import cell
from ckptscan.report.verified import phrases
from ckptscan.verify.values import Verification


def report(found: Verification, width: int | None) -> Iterator[str]:
    """The tensors under a heading, then what does not match."""
    yield f"## {cell(found.structure.checkpoint.origin.title)}: {cell(phrases.device(found))}"
    yield ""
    yield f"Loaded {cell(phrases.amount(found))}"
    yield ""
    yield f"| {' | '.join(phrases.HEADS)} |"
    yield "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for probe in found.probes:
        yield f"| {' | '.join(map(cell, phrases.cells(probe)))} |"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| memory | {phrases.memory(found)} |"
    yield f"| rates | {cell(phrases.rates(found))} |"
    if found.loads:
        yield f"| full load, estimated | {phrases.loads(found)} |"
    for trial in found.trials:
        yield f"| {cell(trial.dtype)} {trial.operation} | {cell(phrases.kernel(trial))} |"
    if found.weights:
        yield f"| dequantized | {phrases.unpacked(found)} |"
    for fault in phrases.faults(found):
        yield f"| mismatch | {cell(fault)} |"
    yield f"| match | {phrases.verdict(found)} |"
    for note in phrases.notes(found):
        yield f"| note | {cell(note)} |"
