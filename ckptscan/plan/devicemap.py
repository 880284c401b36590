"""`device_map="auto"`: which block of a model lies on which card, on the host or on disk.

Sources: transformers 5.23, integrations/accelerate.py, and accelerate 1.15, utils/modeling.py,
which transformers 4 asks: get_balanced_memory (cards are filled evenly with a buffer, one card
alone to 90 %) and infer_auto_device_map (the first card and the host keep room for the largest
block to come).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALONE = 0.9  # of one card; the rest is kept for what runs there
BUFFER = 1.25  # of the largest part, more than an even share
HOST, DISK = "host", "disk"


class Block(NamedTuple):
    """What is never torn apart: a layer, a table, a norm. `layer` is its index, if it is one."""

    name: str
    nbytes: int
    layer: int | None = None


def balanced(blocks: Sequence[Block], room: int, cards: int, part: int) -> list[int]:
    """The most that each card is filled with; `part` is the largest that may be left over."""
    if cards == 1:
        return [int(room * ALONE)]
    total = sum(block.nbytes for block in blocks)
    share = total // cards + int(BUFFER * part)
    return [min(share, room)] * (cards - 1) + [room]


def device_map(blocks: Sequence[Block], cards: Sequence[int], host: int | None) -> list[int | str]:
    """The place of each block, in order: a card's number, HOST or DISK."""
    places: list[int | str] = [*range(len(cards)), HOST, DISK]
    rooms: list[int | None] = [*cards, host, None]
    to_come = _largest_to_come(blocks)
    found: list[int | str] = []
    at = used = 0
    for number, block in enumerate(blocks):
        while True:
            room = rooms[at]
            keeps = to_come[number] if places[at] in (0, HOST) else 0
            if room is None or used + block.nbytes <= room - keeps:
                break
            at, used = at + 1, 0
        used += block.nbytes
        found.append(places[at])
    return found


def _largest_to_come(blocks: Sequence[Block]) -> list[int]:
    """For each block the largest of those after it; its own size while one as large is left."""
    found, largest = [], 0
    for block in reversed(blocks):
        found.append(largest)
        largest = max(largest, block.nbytes)
    return found[::-1]
