"""What a notebook shows of a value: HTML, in which names are text whatever they hold.

The public package registers it, so that values know of no report.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan import MemoryPlan
from ckptscan.report import words
from ckptscan.report.faults import remark_lines
from ckptscan.report.headline import facts
from ckptscan.report.options import Layout
from ckptscan.report.plans.text import gib
from ckptscan.report.plans.waterfall import steps
from ckptscan.report.text import report as text_report
from ckptscan.structure import Structure

TOP = 40  # children of a module that are shown


def html(value: Checkpoint | Structure | MemoryPlan) -> str:
    """A value as an element of HTML, without style or script."""
    if isinstance(value, Checkpoint):
        return _checkpoint(value)
    return _structure(value) if isinstance(value, Structure) else _plan(value)


def _checkpoint(checkpoint: Checkpoint) -> str:
    table = checkpoint.table
    told = [
        ("tensors", f"{len(table):,} in {words.plural(len(table.shards), 'file')}"),
        ("elements", f"{checkpoint.numel:,} ({words.short_count(checkpoint.numel)})"),
        ("size", f"{words.nbytes(checkpoint.nbytes)} ({checkpoint.nbytes:,} bytes)"),
    ]
    return _element("div", _title(checkpoint), _pairs(told), _remarks(checkpoint))


def _structure(structure: Structure) -> str:
    tree = "\n".join(text_report(structure, Layout(top=TOP))).partition("\n\n")[2]
    folded = _element("details", _element("summary", "modules"), _element("pre", escape(tree)))
    checkpoint = structure.checkpoint
    pairs = _pairs(facts(structure))
    return _element("div", _title(checkpoint), pairs, folded, _remarks(checkpoint))


def _plan(plan: MemoryPlan) -> str:
    """The waterfall of the first rank, what the cache holds, and whether it fits."""
    rows = [
        (step.name, gib(step.nbytes), step.label, step.formula)
        for step in steps(plan, plan.first, explained=False)
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
    title = _element("strong", _text(f"{plan.engine} on {plan.cards} x {card}"))
    heads = (f"rank {plan.first.rank}", "GiB", "label", "how")
    return _element("div", title, _table(heads, rows), _pairs(told))


def _title(checkpoint: Checkpoint) -> str:
    return _element("strong", _text(checkpoint.origin.title))


def _remarks(checkpoint: Checkpoint) -> str:
    return "".join(_element("div", _text(line)) for line in remark_lines(checkpoint))


def _pairs(told: Iterable[tuple[str, str]]) -> str:
    rows = (_element("th", _text(name)) + _element("td", _text(value)) for name, value in told)
    return _element("table", *(_element("tr", row) for row in rows))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = _element("tr", *(_element("th", _text(name)) for name in heads))
    body = (_element("tr", *(_element("td", _text(cell)) for cell in row)) for row in rows)
    return _element("table", head, *body)


def _text(value: str) -> str:
    """Text without what a browser or a terminal obeys."""
    return escape(words.printable(value))


def _element(tag: str, *children: str) -> str:
    return f"<{tag}>{''.join(children)}</{tag}>"
