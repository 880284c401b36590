"""A plan as markdown: tables of terms and of what the cache holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan
from ckptscan.report.markdown import cell
from ckptscan.report.plans import Shown
from ckptscan.report.plans.phrases import gib, no_cache, readable
from ckptscan.report.plans.sections import section_tables
from ckptscan.report.plans.waterfall import steps


def report(checkpoint: Checkpoint, plans: Sequence[MemoryPlan], shown: Shown) -> Iterator[str]:
    """Each plan under a heading of its own."""
    for number, plan in enumerate(plans):
        if number:
            yield ""
        devices = plan.ask.devices
        card = devices.card.name if devices is not None else "a card"
        cards = f"{plan.cards} x {cell(card)}"
        yield f"## {cell(checkpoint.origin.title)}: {plan.engine}, {cards}"
        yield ""
        yield "| rank 0 | GiB | bytes | label | how |"
        yield "| --- | ---: | ---: | --- | --- |"
        for step in steps(plan, plan.first):
            how = cell(step.formula)
            size = f"{gib(step.nbytes)} | {step.nbytes:,}"
            yield f"| {cell(step.name)} | {size} | {step.label} | {how} |"
        yield ""
        yield from _facts(plan)
        yield from section_tables(plan)
        if shown.expected:
            yield ""
            yield from ("```", *plan.expected, "```")


def _facts(plan: MemoryPlan) -> Iterator[str]:
    kv = plan.kv
    yield "| | |"
    yield "| --- | --- |"
    if not plan.is_training and not kv.groups:
        yield f"| cache | {no_cache(plan)} |"
    elif not plan.is_training:
        yield f"| a token | {kv.bytes_per_token:,} bytes in {cell(kv.dtype)} |"
        yield f"| cache | {kv.blocks:,} blocks, {kv.tokens:,} tokens |"
        yield f"| requests | {kv.concurrency:.2f} of {kv.max_len:,} tokens |"
        yield f"| longest | {kv.longest:,} tokens |"
    yield f"| fits | {'yes' if plan.fits else 'no: ' + cell(readable('; '.join(plan.why_not)))} |"
    for change in plan.advice:
        yield f"| try | {cell(change)} |"
    for note in plan.assumptions:
        yield f"| note | {cell(note)} |"
