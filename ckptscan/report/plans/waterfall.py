"""A rank's memory as a waterfall: from the card's real bytes down to what the cache gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ckptscan.plan import LABELS, MemoryPlan, Rank, Term

BAR = 24  # characters of the whole card
LITTLE = 1000  # terms below this part of the card are put together at a glance


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


def steps(plan: MemoryPlan, rank: Rank) -> Iterator[Step]:
    """Every line of one rank, from the card's bytes down to what no one uses.

    Each total is the one before it less what stands between them.
    """
    yield from _card(plan, rank)
    yield from _terms(rank.terms, rank.capacity)
    yield _left(plan, rank)
    yield from _cache(rank)


def brief(plan: MemoryPlan, rank: Rank) -> Iterator[Step]:
    """The lines of one rank for a glance: totals of the card, small terms as one.

    The cache is among them where its size was said: elsewhere it is what is left.
    """
    yield from (step for step in _card(plan, rank) if step.mark == TOTAL)
    yield from _terms(_gathered(rank), rank.capacity)
    yield _left(plan, rank)
    if plan.has_given_cache:
        yield from _cache(rank)


def _cache(rank: Rank) -> Iterator[Step]:
    """What the cache takes of what is left, and what no one uses."""
    cached = [term for term in rank.terms if term.part == "kv"]
    left = rank.left
    for term in cached:
        left -= term.nbytes
        yield Step(f"- {term.name}", term.nbytes, term.label, term.formula, left)
    if cached:
        yield Step("not used", left, _least_sure(rank), "what the cache leaves", left, TOTAL)


def _card(plan: MemoryPlan, rank: Rank) -> Iterator[Step]:
    """From the bytes of the card to those that the engine may use."""
    devices = plan.ask.devices
    if devices is None:
        return
    card, total = devices.card, devices.card.total_bytes
    if card.driver_bytes is not None and card.driver_bytes != total:
        yield Step("card", card.driver_bytes, "engine", "as the driver says", total, TOTAL)
        unseen = card.driver_bytes - total
        yield Step("- not for programs", unseen, card.label, "what torch does not see", total)
    yield Step("card as torch sees it", total, card.label, card.how, total, TOTAL)
    if rank.capacity != total:
        kept = total - rank.capacity
        yield Step("- kept free", kept, "engine", "what is over the share", rank.capacity)
        yield Step("may be used", rank.capacity, "engine", rank.how, rank.capacity, TOTAL)


def _terms(terms: Iterable[Term], left: int) -> Iterator[Step]:
    """All terms but the cache, each with what is left below it."""
    for term in terms:
        if term.part != "kv":
            left -= term.nbytes
            yield Step(f"- {term.name}", term.nbytes, term.label, term.formula, left)


def _left(plan: MemoryPlan, rank: Rank) -> Step:
    """What the terms leave; below nothing where they are more than there is."""
    name = "left" if plan.is_training or plan.has_given_cache else "left for the cache"
    return Step(name, rank.left, _least_sure(rank), "what the terms leave", rank.left, TOTAL)


def _least_sure(rank: Rank) -> str:
    """The label of what rests on all terms of a rank."""
    labels = [term.label for term in rank.terms if term.part != "kv"]
    return max(labels, key=LABELS.index, default="exact")


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
        label = max((term.label for term in small), key=LABELS.index)
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
