"""What ckptscan stands on: for people, and as `ckptscan.doctor/1`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ckptscan.doctor import Cards, Health, Package
from ckptscan.report import words
from ckptscan.version import SCHEMAS, schema

SCHEMA = schema("doctor")
_COLUMN = 18  # where values begin


def report(health: Health, format_name: str, width: int | None) -> Iterator[str]:
    """The lines of the report in one of the formats, at most `width` columns wide."""
    if format_name == "json":
        yield json.dumps(document(health), indent=2)
        return
    for name, value in _facts(health):
        first, *rest = words.wrapped(words.printable(value), width, _COLUMN, 0)
        yield f"{name:<{_COLUMN}}{first[_COLUMN:]}"
        yield from rest
    yield ""
    for problem in health.problems:
        yield f"problem: {words.printable(problem)}"
    if not health.problems:
        yield "all is well"


def _facts(health: Health) -> Iterator[tuple[str, str]]:
    yield "ckptscan", health.version
    yield "Python", f"{health.python} on {health.system}"
    yield "documents", ", ".join(f"{name}/{number}" for name, number in SCHEMAS.items())
    for package in health.packages:
        yield package.name, _package(package)
    for cache in health.caches:
        held = "" if cache.nbytes is None else f", {words.nbytes(cache.nbytes)}"
        yield f"cache of {cache.name}", f"{cache.folder}{held}"
    for cards in health.cards:
        yield f"cards by {cards.asked}", _cards(cards)
    reached = health.reached
    if reached is None:
        yield "Hub", "not asked: offline"
    else:
        answer = f"answers {reached.status}" if reached.status is not None else "does not answer"
        yield "Hub", f"{reached.endpoint} {answer}, {reached.seconds:.2f} s"
    yield "token", "found" if health.has_token else "none"


def _package(package: Package) -> str:
    if package.version is not None:
        of = f" (extra {package.extra})" if package.extra else ""
        return f"{package.version}{of}"
    extra = f"[{package.extra}]" if package.extra else ""
    return f"not installed: pip install 'ckptscan{extra}'"


def _cards(cards: Cards) -> str:
    if not cards.count:
        return f"none: {cards.why}"
    return f"{cards.count} x {cards.name}, {words.nbytes(cards.nbytes)} each"


def document(health: Health) -> dict[str, Any]:
    """All of it as plain values."""
    return {
        "schema": SCHEMA,
        "version": health.version,
        "python": health.python,
        "system": health.system,
        "schemas": {name: schema(name) for name in SCHEMAS},
        "packages": [
            {
                "name": one.name,
                "version": one.version,
                "least": one.least or None,
                "extra": one.extra or None,
                "problem": one.problem or None,
            }
            for one in health.packages
        ],
        "caches": [
            {
                "name": one.name,
                "folder": one.folder,
                "bytes": one.nbytes,
                "writable": one.writable,
                "problem": one.problem or None,
            }
            for one in health.caches
        ],
        "cards": [
            {
                "asked": one.asked,
                "count": one.count,
                "name": one.name or None,
                "total_bytes": one.nbytes,
                "why_none": one.why or None,
            }
            for one in health.cards
        ],
        "hub": None
        if health.reached is None
        else {
            "endpoint": health.reached.endpoint,
            "status": health.reached.status,
            "seconds": round(health.reached.seconds, 3),
        },
        "token": health.has_token,
        "problems": list(health.problems),
    }
