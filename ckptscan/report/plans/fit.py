"""What holds a model, and how far cards reach: text, json, markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan.fit import Holder, Holders, Matrix
from ckptscan.report import words
from ckptscan.report.json import source
from ckptscan.report.markdown import cell
from ckptscan.report.plans.text import gib
from ckptscan.version import schema

SCHEMA = schema("fit")
MOST_ROWS = 40
_HEADS = ("GiB in all", "headroom", "requests", "longest")


def report(
    checkpoint: Checkpoint, found: Holders | Matrix, format_name: str, width: int | None
) -> Iterator[str]:
    """The table in one of the formats."""
    if format_name == "json":
        yield json.dumps(_document(checkpoint, found), indent=2)
    elif isinstance(found, Matrix):
        yield from _matrix(checkpoint, found, format_name, width)
    else:
        yield from _holders(checkpoint, found, format_name, width)


def _holders(
    checkpoint: Checkpoint, found: Holders, format_name: str, width: int | None
) -> Iterator[str]:
    title = checkpoint.origin.title
    wanted = f"{words.plural(found.requests, 'request')} of {found.context:,} tokens"
    lines = [(f"{one.cards} x {one.card.name}", _cells(one)) for one in found.holders]
    if not lines:
        why = words.label(found.refused)
        yield f"nothing of {found.tried} holds {words.label(title)} with {wanted}: {why}"
        return
    if format_name == "markdown":
        yield f"## {cell(title)}: {found.engine}, {wanted}"
        yield ""
        yield f"| cards | {' | '.join(_HEADS)} |"
        yield "| --- |" + " ---: |" * len(_HEADS)
        yield from (f"| {cell(name)} | {' | '.join(cells)} |" for name, cells in lines)
        return
    yield f"{words.label(title)}, {found.engine}, {wanted}: fewest bytes first"
    yield ""
    yield from _aligned([("cards", _HEADS), *lines[:MOST_ROWS]])
    if len(lines) > MOST_ROWS:
        yield f"and {len(lines) - MOST_ROWS} more; --format json has all"


def _cells(one: Holder) -> tuple[str, ...]:
    requests = f"{one.requests:.2f}" if one.requests else "-"
    return (gib(one.total), gib(one.headroom), requests, f"{one.longest:,}")


def _aligned(lines: Sequence[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Names to the left, cells to the right, each column as wide as it must be."""
    named = [(words.label(name), cells) for name, cells in lines]
    first = max(len(name) for name, _ in named)
    widths = [max(len(cells[at]) for _, cells in named) for at in range(len(named[0][1]))]
    for name, cells in named:
        shown = (f"{text:>{size}}" for text, size in zip(cells, widths, strict=True))
        yield f"{name:<{first}}  {'  '.join(shown)}".rstrip()


def _matrix(
    checkpoint: Checkpoint, found: Matrix, format_name: str, width: int | None
) -> Iterator[str]:
    title, card = checkpoint.origin.title, found.devices.card.name
    heads = (*map(str, found.columns), "most")
    rows = [
        (
            f"{row.context:,}",
            (*("+" if n in row.fits else "." for n in found.columns), f"{row.most:.2f}"),
            row.why,
        )
        for row in found.rows
    ]
    if format_name == "markdown":
        yield f"## {cell(title)}: {found.engine}, {found.cards} x {cell(card)}"
        yield ""
        yield f"| context | {' | '.join(heads)} | stops at |"
        yield "| ---: |" + " :---: |" * len(heads) + " --- |"
        for context, cells, why in rows:
            yield f"| {context} | {' | '.join(cells)} | {cell(why)} |"
        return
    where = f"{found.cards} x {words.label(card)}"
    yield f"{words.label(title)} on {where}, {found.engine}: context by requests"
    yield ""
    yield from _aligned([("context", heads), *((name, cells) for name, cells, _ in rows)])
    yield ""
    for context, _, why in rows:
        if why:
            yield from words.wrapped(f"{context}: {words.label(why)}", width)


def _document(checkpoint: Checkpoint, found: Holders | Matrix) -> dict[str, object]:
    head: dict[str, object] = {
        "schema": SCHEMA,
        "source": source(checkpoint),
        "engine": found.engine,
    }
    if isinstance(found, Matrix):
        return head | {
            "device": found.devices.card.name,
            "cards": found.cards,
            "contexts": [
                {"context": row.context, "fits": list(row.fits), "most": round(row.most, 2),
                 "why": row.why or None}
                for row in found.rows
            ],
        }  # fmt: skip
    return head | {
        "context": found.context,
        "requests": found.requests,
        "tried": found.tried,
        "why_not": found.refused if not found.holders else None,
        "holders": [
            {
                "card": one.card.name,
                "cards": one.cards,
                "total_bytes": one.total,
                "headroom_bytes": one.headroom,
                "requests": round(one.requests, 2),
                "longest": one.longest,
            }
            for one in found.holders
        ],
    }
