"""One deployment under several engines: a table, and what is in the way of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.plan import MemoryPlan
from ckptscan.report import words
from ckptscan.report.plans.phrases import deployment, gib, readable

_HEADS = ("engine", "cards", "GiB loaded", "GiB left", "tokens", "requests", "fits")


def compared(title: str, plans: Sequence[MemoryPlan], width: int | None) -> Iterator[str]:
    """Several engines, a line each; below them why they do not fit, and what would."""
    yield f"{title} on {deployment(plans[0])}"
    yield ""
    rows = [_HEADS, *(_row(plan) for plan in plans)]
    wide = [max(len(row[place]) for row in rows) for place in range(len(_HEADS))]
    for first, *rest in rows:
        cells = (cell.rjust(size) for cell, size in zip(rest, wide[1:], strict=True))
        yield " ".join([first.ljust(wide[0]), *cells])
    told = [line for plan in plans for line in _told(plan)]
    if told:
        yield ""
    for line in told:
        yield from words.wrapped(line, width)
    shared = [note for note in plans[0].assumptions if all(note in p.assumptions for p in plans)]
    for note in shared:
        yield from words.wrapped(f"note: {words.label(note)}", width)


def _row(plan: MemoryPlan) -> tuple[str, ...]:
    return (
        plan.engine,
        f"{plan.cards}",
        gib(plan.first.loaded),
        gib(plan.tightest.left),
        f"{plan.kv.tokens:,}",
        f"{plan.kv.concurrency:.2f}",
        "yes" if plan.fits else "no",
    )


def _told(plan: MemoryPlan) -> Iterator[str]:
    """Why it does not fit, and what would make it."""
    for why in plan.why_not:
        yield f"{plan.engine}: {readable(why)}"
    if plan.advice:
        yield f"{plan.engine}: try {'; or '.join(plan.advice)}"
