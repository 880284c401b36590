"""What a notebook shows of a value: HTML, in which names are text whatever they hold.

The public package registers it, so that values know of no report.
"""

from __future__ import annotations

from collections.abc import Iterable

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan
from ckptscan.report import words
from ckptscan.report.faults import remark_lines
from ckptscan.report.headline import facts
from ckptscan.report.html.markup import Markup, element, folded, joined
from ckptscan.report.options import Layout
from ckptscan.report.plans.phrases import gib
from ckptscan.report.plans.waterfall import brief
from ckptscan.report.text import report as text_report
from ckptscan.structure import Structure

TOP = 40  # children of a module that are shown


def html(value: Checkpoint | Structure | MemoryPlan) -> str:
    """A value as an element of HTML, without style or script."""
    if isinstance(value, Checkpoint):
        return _checkpoint(value)
    return _structure(value) if isinstance(value, Structure) else _plan(value)


def _checkpoint(checkpoint: Checkpoint) -> Markup:
    table = checkpoint.table
    told = [
        ("tensors", f"{len(table):,} in {words.plural(len(table.shards), 'file')}"),
        ("elements", f"{checkpoint.numel:,} ({words.short_count(checkpoint.numel)})"),
        ("size", f"{words.nbytes(checkpoint.nbytes)} ({checkpoint.nbytes:,} bytes)"),
    ]
    return element("div", _title(checkpoint), _pairs(told), _remarks(checkpoint))


def _structure(structure: Structure) -> Markup:
    """The facts, and the tree behind a click."""
    lines = list(text_report(structure, Layout(top=TOP)))
    tree = joined(lines[lines.index("") + 1 :] if "" in lines else (), "\n")
    checkpoint, pairs = structure.checkpoint, _pairs(facts(structure))
    shown = folded("modules", element("pre", tree))
    return element("div", _title(checkpoint), pairs, shown, _remarks(checkpoint))


def _plan(plan: MemoryPlan) -> Markup:
    """The waterfall of the first rank, what the cache holds, and whether it fits."""
    rows = [
        (step.name, gib(step.nbytes), step.label, step.formula) for step in brief(plan, plan.first)
    ]
    told = []
    if not plan.is_training:
        told += [
            ("cache", f"{plan.kv.tokens:,} tokens, {plan.kv.bytes_per_token:,} bytes each"),
            ("requests", f"{plan.kv.concurrency:.2f} of {plan.kv.max_len:,} tokens at once"),
        ]
    told += [("fits", "yes" if plan.fits else "no: " + "; ".join(plan.why_not))]
    told += [("try", change) for change in plan.advice]
    devices = plan.ask.devices
    card = devices.card.name if devices is not None else "a card"
    title = element("strong", f"{plan.engine} on {plan.cards} x {card}")
    heads = (f"rank {plan.first.rank}", "GiB", "label", "how")
    return element("div", title, _table(heads, rows), _pairs(told))


def _title(checkpoint: Checkpoint) -> Markup:
    return element("strong", words.label(checkpoint.origin.title))


def _remarks(checkpoint: Checkpoint) -> Markup:
    return joined(element("div", line) for line in remark_lines(checkpoint))


def _pairs(told: Iterable[tuple[str, str]]) -> Markup:
    rows = (element("tr", element("th", name), element("td", value)) for name, value in told)
    return element("table", *rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Markup:
    head = element("tr", *(element("th", name) for name in heads))
    body = (element("tr", *(element("td", cell) for cell in row)) for row in rows)
    return element("table", head, *body)
