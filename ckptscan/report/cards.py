"""The table of cards: text, json, markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ckptscan.hardware import Card
from ckptscan.report.table import Line, aligned
from ckptscan.version import schema

SCHEMA = schema("gpus")
_GIB = 1 << 30
_HEADS = ("name", "GB", "driver GiB", "torch GiB", "TB/s", "TFLOP/s")


def report(cards: Sequence[Card], format_name: str, width: int | None) -> Iterator[str]:
    """The cards in one of the formats."""
    if format_name == "json":
        yield json.dumps({"schema": SCHEMA, "cards": [_facts(card) for card in cards]}, indent=2)
        return
    if format_name == "markdown":
        yield f"| card | {' | '.join(_HEADS)} |"
        yield "| --- | --- |" + " ---: |" * (len(_HEADS) - 1)
        for card in cards:
            yield f"| {card.name} | {' | '.join(_cells(card))} |"
        return
    lines = [Line(0, "card", _HEADS), *(Line(0, card.name, _cells(card)) for card in cards)]
    yield from aligned(lines, 1, width or 200)


def _cells(card: Card) -> tuple[str, ...]:
    return (
        card.aliases[0],
        str(card.marketing_gb),
        _gib(card.driver_bytes),
        _gib(card.torch_bytes),
        f"{card.bandwidth / 10**12:.2f}" if card.bandwidth else "-",
        f"{card.flops / 10**12:,.0f}" if card.flops else "-",
    )


def _gib(nbytes: int | None) -> str:
    return f"{nbytes / _GIB:.2f}" if nbytes is not None else "-"


def _facts(card: Card) -> dict[str, object]:
    return {
        "name": card.name,
        "aliases": list(card.aliases),
        "marketing_gb": card.marketing_gb,
        "driver_bytes": card.driver_bytes,
        "torch_bytes": card.torch_bytes,
        "total_bytes": card.total_bytes,
        "label": card.label,
        "how": card.how,
        "bandwidth_bytes_per_second": card.bandwidth,
        "bf16_dense_flops": card.flops,
        "compute_capability": card.capability or None,
        "source": card.source,
        "confidence": card.confidence,
    }
