"""Sizes and deployments in the words that all reports of plans share."""

from __future__ import annotations

import re

from ckptscan.plan import MemoryPlan
from ckptscan.report import words

GIB = 1 << 30
# takes 146,485,709,700 B -> takes 136.43 GiB (146,485,709,700 B)
_BYTES = re.compile(r"(?<![\d,])(\d{1,3}(?:,\d{3}){2,8}) B\b", re.ASCII)


def readable(text: str) -> str:
    """A sentence of a plan, printable, large byte counts in binary units too."""
    return _BYTES.sub(_with_units, words.printable(text))


def _with_units(match: re.Match[str]) -> str:
    size = int(match[1].replace(",", ""))
    return f"{words.nbytes(size)} ({match[0]})"


def gib(nbytes: int) -> str:
    """Bytes in GiB with two decimals, the unit left out."""
    hundredths = (abs(nbytes) * 100 + GIB // 2) // GIB
    sign = "-" if nbytes < 0 and hundredths else ""
    return f"{sign}{hundredths // 100:,}.{hundredths % 100:02d}"


def deployment(plan: MemoryPlan) -> str:
    """The cards, and how they share the model."""
    parallel, devices = plan.ask.parallel, plan.ask.devices
    card = words.label(devices.card.name) if devices is not None else "a card"
    how = [f"{name} {size}" for name, size in parallel._asdict().items() if size > 1]
    idle = (devices.count or 0) - plan.cards if devices is not None else 0
    if idle > 0:
        how.append(f"{idle} idle")
    return f"{plan.cards} x {card}" + (f" ({', '.join(how)})" if how else "")


def no_cache(plan: MemoryPlan) -> str:
    """What is said of the cache where none is counted."""
    return "is not modelled" if plan.unmodelled else "none is kept"
