"""Sizes as people write them -> bytes: `64MiB`, `80GB`, `1.5M`, `4096`.

KiB, MiB, GiB and TiB are powers of 1,024, KB, MB, GB and TB powers of 1,000, as IEC 80000-13 has
it; a bare K, M, G or T is binary, as in the tools of GNU. A number alone counts bytes.
"""

from __future__ import annotations

import re

# 1.5 GiB, 80GB, 64m, 4096
_SIZE = re.compile(
    r"(?P<number>\d{1,15}(?:\.\d{1,9})?)\s*(?P<unit>[kmgt](?:i?b)?|b)?", re.ASCII | re.IGNORECASE
)
_LONGEST = 64


def parse_size(text: str) -> int | None:
    """The bytes, rounded down; None for what is no size."""
    match = _SIZE.fullmatch(text.strip()[:_LONGEST])
    if match is None:
        return None
    whole, _, fraction = match["number"].partition(".")
    scale: int = 10 ** len(fraction)
    return int(whole + fraction) * _unit((match["unit"] or "b").lower()) // scale


def _unit(unit: str) -> int:
    """The bytes of a unit in lower case."""
    is_decimal = len(unit) == 2 and unit.endswith("b")
    found: int = (1000 if is_decimal else 1024) ** "bkmgt".index(unit[0])
    return found
