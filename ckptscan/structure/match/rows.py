"""The rows of a table that a part of a match stands for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress, islice

from ckptscan.structure.match.values import Part


def rows_of(names: Sequence[str], part: Part) -> list[int]:
    """The rows, in the order of the part's region; of tensors that are stored in one piece."""
    wanted = list(part.names())
    few = frozenset(wanted)
    rows = part.unit.family.rows
    meant = compress(rows, map(few.__contains__, map(names.__getitem__, rows)))
    held = {names[row]: row for row in islice(meant, len(few))}
    return [held[name] for name in wanted]
