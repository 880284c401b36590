"""A plan for a terminal: the waterfall first, then tokens, requests, what to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan, Rank
from ckptscan.report import words
from ckptscan.report.bars import refined
from ckptscan.report.plans import Shown
from ckptscan.report.plans.sections import section_lines
from ckptscan.report.plans.serving import command_line
from ckptscan.report.plans.waterfall import BAR, bar, steps

GIB = 1 << 30
_MOST_REFUSALS = 4


def report(checkpoint: Checkpoint, plans: Sequence[MemoryPlan], shown: Shown) -> Iterator[str]:
    """The plan of each engine; of several a table first."""
    title = words.label(checkpoint.origin.title)
    if len(plans) > 1:
        yield from _table(title, plans)
        return
    for plan in plans:
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
        if shown.expected and plan.expected:
            yield ""
            yield "log lines to expect"
            yield from (f"  {line}" for line in plan.expected)
        if shown.command and not plan.is_training:
            yield ""
            yield command_line(checkpoint, plan)


def gib(nbytes: int) -> str:
    """Bytes in GiB with two decimals, the unit left out."""
    sign = "-" if nbytes < 0 else ""
    hundredths = (abs(nbytes) * 100 + GIB // 2) // GIB
    return f"{sign}{hundredths // 100:,}.{hundredths % 100:02d}"


def deployment(plan: MemoryPlan) -> str:
    """`8 x NVIDIA H200 141GB (tp 8)`."""
    parallel, devices = plan.ask.parallel, plan.ask.devices
    card = words.label(devices.card.name) if devices is not None else "a card"
    how = [f"{name} {size}" for name, size in parallel._asdict().items() if size > 1]
    idle = (devices.count or 0) - plan.cards if devices is not None else 0
    if idle > 0:
        how.append(f"{idle} idle")
    return f"{plan.cards} x {card}" + (f" ({', '.join(how)})" if how else "")


def _rank(plan: MemoryPlan, rank: Rank, shown: Shown) -> Iterator[str]:
    """The waterfall of one rank."""
    rows = list(steps(plan, rank, shown.explained))
    whole = max(row.nbytes for row in rows)
    named = [words.label(row.name) for row in rows]
    column = min(max(map(len, named)), 44)
    yield f"{'rank ' + str(rank.rank):<{column}} {'GiB':>8} label"
    for row, name in zip(rows, named, strict=True):
        drawn = refined(bar(row, whole), shown.bars)
        line = f"{name:<{column}} {gib(row.nbytes):>8} {row.label:<9} |{drawn:<{BAR}}|"
        yield line
        if shown.explained:
            yield from words.wrapped(row.formula, shown.width, 4)


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
        yield "cache      none is kept"
        return
    states = f", {words.nbytes(kv.state_bytes)} of state a request" if kv.state_bytes else ""
    yield f"a token    {kv.bytes_per_token:,} bytes in {kv.dtype} [{kv.label}]{states}"
    if shown.explained:
        yield from words.wrapped(kv.formula, shown.width, 11, 0)
        for group in kv.groups:
            yield from words.wrapped(group, shown.width, 11)
    yield f"cache      {kv.blocks:,} blocks, {kv.tokens:,} tokens"
    yield f"requests   {kv.concurrency:.2f} of {kv.max_len:,} tokens at once"
    yield f"longest    {kv.longest:,} tokens in one request" + (
        f"; {kv.longest_each:,} in each of {plan.ask.requests}"
        if kv.longest_each is not None
        else ""
    )


def _verdict(plan: MemoryPlan, shown: Shown) -> Iterator[str]:
    """Whether it fits, what to change, what it rests on."""
    if plan.fits:
        yield "fits       yes"
    for why in plan.why_not:
        yield from words.wrapped(f"fits       no: {words.printable(why)}", shown.width, 0, 11)
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


def _table(title: str, plans: Sequence[MemoryPlan]) -> Iterator[str]:
    """Several engines, a line each."""
    yield f"{title} on {deployment(plans[0])}"
    yield ""
    heads = ("engine", "loaded", "left", "tokens", "requests", "fits")
    rows = [
        (
            plan.engine,
            gib(plan.first.loaded),
            gib(plan.tightest.left),
            f"{plan.kv.tokens:,}",
            f"{plan.kv.concurrency:.2f}",
            "yes" if plan.fits else "no",
        )
        for plan in plans
    ]
    wide = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    for row in (heads, *rows):
        first, *rest = row
        cells = (cell.rjust(size) for cell, size in zip(rest, wide[1:], strict=True))
        yield " ".join([first.ljust(wide[0]), *cells])
