"""A plan for a terminal: the waterfall first, then tokens, requests, what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan, Rank
from ckptscan.report import words
from ckptscan.report.bars import refined
from ckptscan.report.plans import Shown
from ckptscan.report.plans.comparing import compared
from ckptscan.report.plans.phrases import deployment, gib, no_cache, readable
from ckptscan.report.plans.sections import section_lines
from ckptscan.report.plans.serving import command_line
from ckptscan.report.plans.waterfall import BAR, bar, brief, steps

_MOST_REFUSALS = 4


def report(checkpoint: Checkpoint, plans: Sequence[MemoryPlan], shown: Shown) -> Iterator[str]:
    """The plan of each engine; of several a table first."""
    title = words.label(checkpoint.origin.title)
    if len(plans) > 1:
        yield from compared(title, plans, shown.width)
    for plan in plans:
        if len(plans) > 1:
            yield from _extras(checkpoint, plan, shown)
            continue
        yield f"{title} on {deployment(plan)}, {plan.engine}"
        yield ""
        yield from _rank(plan, plan.first, shown)
        yield from _other_ranks(plan)
        yield from _beside(plan)
        yield ""
        if not plan.is_training:
            yield from _cache(plan, shown)
        yield from _verdict(plan, shown)
        yield from section_lines(plan, shown)
        yield from _extras(checkpoint, plan, shown)


def _extras(checkpoint: Checkpoint, plan: MemoryPlan, shown: Shown) -> Iterator[str]:
    """The log lines and the command, where they are asked for."""
    if shown.expected and plan.expected:
        yield ""
        yield f"log lines to expect of {plan.engine}"
        yield from (f"  {line}" for line in plan.expected)
    command = command_line(checkpoint, plan) if shown.command else ""
    if command:
        yield ""
        yield command


def _rank(plan: MemoryPlan, rank: Rank, shown: Shown) -> Iterator[str]:
    """The waterfall of one rank."""
    rows = list(steps(plan, rank) if shown.explained else brief(plan, rank))
    whole = max(row.nbytes for row in rows)
    named = [words.label(row.name) for row in rows]
    column = min(max(map(len, named)), 44)
    yield f"{'rank ' + str(rank.rank):<{column}} {'GiB':>8} label"
    for row, name in zip(rows, named, strict=True):
        drawn = refined(bar(row, whole), shown.bars)
        line = f"{name:<{column}} {gib(row.nbytes):>8} {row.label:<9} |{drawn:<{BAR}}|"
        yield line
        if shown.explained:
            yield from words.wrapped(f"{row.nbytes:,} B: {row.formula}", shown.width, 4)


def _other_ranks(plan: MemoryPlan) -> Iterator[str]:
    """One line for ranks that differ from the first."""
    if len(plan.ranks) == 1 and len(plan.first.alike) == 1:
        return
    yield ""
    for rank in plan.ranks:
        layers = f"layers {words.indices(rank.layers)}, " if plan.ask.parallel.pp > 1 else ""
        who = f"ranks {words.indices(rank.alike)}" if len(rank.alike) > 1 else f"rank {rank.rank}"
        loaded, left = gib(rank.loaded), gib(rank.left)
        if plan.is_training:
            yield f"{who}: {layers}{gib(rank.fixed)} GiB, {left} GiB left"
            continue
        if plan.has_given_cache:
            cache = gib(rank.part("kv"))
            yield f"{who}: {layers}{loaded} GiB loaded, {left} GiB left, {cache} GiB of it cache"
            continue
        yield f"{who}: {layers}{loaded} GiB loaded, {left} GiB left for the cache"


def _beside(plan: MemoryPlan) -> Iterator[str]:
    """What lies on no card."""
    for place in plan.beside:
        if place.nbytes:
            layers = f", layers {words.indices(place.layers)}" if len(place.layers) else ""
            yield f"{place.place}: {gib(place.nbytes)} GiB{layers}"


def _cache(plan: MemoryPlan, shown: Shown) -> Iterator[str]:
    """What the cache holds."""
    kv = plan.kv
    if not kv.groups:
        yield f"cache      {no_cache(plan)}"
        return
    states = f", {words.nbytes(kv.state_bytes)} of state a request" if kv.state_bytes else ""
    yield f"a token    {kv.bytes_per_token:,} bytes in {kv.dtype} [{kv.label}]{states}"
    if shown.explained:
        yield from words.wrapped(kv.formula, shown.width, 11, 0)
        for group in kv.groups:
            yield from words.wrapped(group, shown.width, 11)
    each = kv.longest_each
    of_each = f"; {each:,} in each of {plan.ask.requests}" if each is not None else ""
    lines = {
        "cache": f"{kv.blocks:,} blocks, {kv.tokens:,} tokens",
        "requests": f"{kv.concurrency:.2f} of {kv.max_len:,} tokens at once",
        "longest": f"{kv.longest:,} tokens in one request{of_each}",
    }
    for name, line in lines.items():
        yield f"{name:<10} {line}"
        if shown.explained and name in kv.how:
            yield from words.wrapped(kv.how[name], shown.width, 11)


def _verdict(plan: MemoryPlan, shown: Shown) -> Iterator[str]:
    """Whether it fits, what to change, what it rests on."""
    if plan.fits:
        yield "fits       yes"
    for why in plan.why_not:
        yield from words.wrapped(f"fits       no: {readable(why)}", shown.width, 0, 11)
    for change in plan.advice:
        yield from words.wrapped(f"try        {change}", shown.width, 0, 11)
    if plan.valid_tp:
        works = ", ".join(map(str, plan.valid_tp))
        yield from words.wrapped(f"tp         {works} work", shown.width, 0, 11)
    if shown.explained:
        for refusal in plan.refusals[:_MOST_REFUSALS]:
            why = words.label(refusal.why)
            yield from words.wrapped(f"tp {refusal.tp}: {why}", shown.width, 11)
        for term in plan.left_out:
            size = f"{term.nbytes:+,} bytes"
            yield from words.wrapped(f"{term.name}: {size} {term.formula}", shown.width, 11)
    for note in plan.assumptions:
        yield from words.wrapped(f"note: {words.label(note)}", shown.width)
