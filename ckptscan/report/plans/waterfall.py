"""A rank's memory as a waterfall: from the card's real bytes down to what the cache gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.plan import MemoryPlan, Rank, Term

BAR = 24  # characters of the whole card
LITTLE = 1000  # terms below this part of the card are put together, unless all are explained


TOTAL, TERM = "=", "#"


class Step(NamedTuple):
    """One line: what it is, bytes, label, how it comes about, what is left below it.

    `mark` is what its bar is drawn with: TOTAL for what is there, TERM for what goes away.
    """

    name: str
    nbytes: int
    label: str
    formula: str
    left: int
    mark: str = TERM


def steps(plan: MemoryPlan, rank: Rank, explained: bool) -> Iterator[Step]:
    """The lines of one rank, the card's bytes first."""
    devices = plan.ask.devices
    if devices is not None:
        card = devices.card
        total = card.total_bytes
        if card.driver_bytes is not None and card.driver_bytes != total:
            yield Step("card", card.driver_bytes, "engine", "as the driver says", total, TOTAL)
        yield Step("card as torch sees it", total, card.label, card.how, total, TOTAL)
        if rank.capacity != total:
            yield Step("may be used", rank.capacity, "engine", rank.how, rank.capacity, TOTAL)
    left = rank.capacity
    terms = rank.terms if explained else tuple(_gathered(rank))
    for term in terms:
        if term.part == "kv":
            continue
        left -= term.nbytes
        yield Step(f"- {term.name}", term.nbytes, term.label, term.formula, left)
    cache = rank.part("kv")
    how, name = "what the rest leaves", "left" if plan.is_training else "left for the cache"
    yield Step(name, max(0, left), "estimated", how, left, TOTAL)
    if cache and plan.ask.kv_bytes is not None:
        yield Step("KV cache", cache, "engine", "as given", left, TOTAL)


def _gathered(rank: Rank) -> Iterator[Term]:
    """The terms of a rank, the smallest of what is loaded as one."""
    least = rank.capacity // LITTLE
    loaded = [term for term in rank.terms if term.part not in ("activations", "overhead", "kv")]
    small = [term for term in loaded if abs(term.nbytes) < least]
    for term in loaded:
        if term not in small or len(small) == 1:
            yield term
    if len(small) > 1:
        names = [term.name for term in small]
        total = sum(term.nbytes for term in small)
        label = next((term.label for term in small if term.label != "exact"), "exact")
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        yield Term(", ".join(names[:2]) + more, total, ", ".join(names), label)
    yield from (term for term in rank.terms if term.part in ("activations", "overhead"))


def bar(step: Step, whole: int) -> str:
    """Where a step lies between nothing and the whole card, in plain characters."""
    if whole <= 0:
        return ""
    start = 0 if step.mark == TOTAL else max(0, step.left)
    end = max(start, step.left if step.mark == TOTAL else start + step.nbytes)
    first, last = (min(BAR, (value * BAR + whole // 2) // whole) for value in (start, end))
    if last == first and step.nbytes and step.mark == TERM:
        last = min(BAR, first + 1)
        first = last - 1
    return " " * first + step.mark * (last - first)
