"""What holds a model, and how far cards reach: text, json, markdown; html has its own module."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.plan.fit import Holder, Holders, Matrix
from ckptscan.plan.values import TRAINING
from ckptscan.report import words
from ckptscan.report.json import source
from ckptscan.report.markdown import cell
from ckptscan.report.plans.phrases import gib, readable
from ckptscan.version import schema

SCHEMA = schema("fit")
MOST_ROWS = 40
HEADS = ("GiB in all", "left a card", "requests", "longest")


def report(
    checkpoint: Checkpoint, found: Sequence[Holders | Matrix], format_name: str, width: int | None
) -> Iterator[str]:
    """The table of each engine in one of the formats."""
    if format_name == "json":
        head: dict[str, object] = {"schema": SCHEMA, "source": source(checkpoint)}
        documents = [_document(one) for one in found]
        body = documents[0] if len(documents) == 1 else {"fits": documents}
        yield json.dumps(head | body, indent=2)
        return
    if format_name == "html":
        from ckptscan.report.plans.fit_page import page

        yield from page(checkpoint, found)
        return
    for number, one in enumerate(found):
        if number:
            yield ""
        if isinstance(one, Matrix):
            yield from _matrix(checkpoint, one, format_name, width)
        else:
            yield from _holders(checkpoint, one, format_name)


def _holders(checkpoint: Checkpoint, found: Holders, format_name: str) -> Iterator[str]:
    title = checkpoint.origin.title
    asked = wanted(found)
    lines = [(holder_name(one), holder_cells(one)) for one in found.holders]
    if not lines:
        why = readable(found.refused)
        yield f"nothing of {found.tried} holds {words.label(title)} with {asked}: {why}"
        return
    if format_name == "markdown":
        yield f"## {cell(title)}: {found.engine}, {asked}"
        yield ""
        yield f"| cards | {' | '.join(HEADS)} |"
        yield "| --- |" + " ---: |" * len(HEADS)
        yield from (f"| {cell(name)} | {' | '.join(cells)} |" for name, cells in lines)
        return
    yield f"{words.label(title)}, {found.engine}, {asked}: fewest bytes first"
    yield ""
    yield from _aligned([("cards", HEADS), *lines[:MOST_ROWS]])
    if len(lines) > MOST_ROWS:
        yield f"and {len(lines) - MOST_ROWS} more; --format json has all"


def wanted(found: Holders) -> str:
    """What the cards are to hold beside the model: `8 requests of 32,768 tokens`."""
    noun = "sequence" if found.engine == TRAINING else "request"
    return f"{words.plural(found.requests, noun)} of {found.context:,} tokens"


def holder_name(one: Holder) -> str:
    """The cards, how they share the model where it is not by --tp alone, its formats there."""
    sizes = [f"{name} {size}" for name, size in one.parallel._asdict().items() if size > 1]
    said = sizes if len(sizes) > 1 or one.parallel.dp > 1 else []
    said += [one.recipe] if one.recipe is not None else []
    return f"{one.cards} x {one.card.name}" + (f" ({', '.join(said)})" if said else "")


def holder_cells(one: Holder) -> tuple[str, ...]:
    """The figures of a holder, in the order of HEADS."""
    requests = f"{one.requests:.2f}" if one.requests else "-"
    longest = f"{one.longest:,}" if one.longest else "-"
    return (gib(one.total), gib(one.headroom), requests, longest)


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
            yield from words.wrapped(f"{context}: {readable(why)}", width)


def _document(found: Holders | Matrix) -> dict[str, object]:
    head: dict[str, object] = {"engine": found.engine}
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
                "parallel": one.parallel._asdict(),
                "total_bytes": one.total,
                "headroom_bytes": one.headroom,
                "requests": round(one.requests, 2),
                "longest": one.longest,
                "quantize": one.recipe,
            }
            for one in found.holders
        ],
    }
