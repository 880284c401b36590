"""Which rows of the table a line of the tree stands for, and how one of them is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from ckptscan.names import IndexSet, split_stars, unescape
from ckptscan.report import words
from ckptscan.structure import End, Family, Node


@lru_cache(maxsize=64)
def _reader(pattern: str) -> re.Pattern[str]:
    """Reads the indices out of the names of a pattern."""
    pieces = (re.escape(unescape(piece)) for piece in split_stars(pattern))
    return re.compile("([0-9]+)".join(pieces), re.DOTALL)


def indices_of(family: Family, name: str) -> tuple[int, ...]:
    """The indices of a name, one for each star of its family's pattern."""
    found = _reader(family.pattern).fullmatch(name)
    return tuple(map(int, found.groups())) if found else ()


def rows_of(names: Sequence[str], chain: Sequence[Node], end: End) -> Sequence[int]:
    """The rows of the tensors that end at the end of a chain of nodes, in the order of indices."""
    family = end.family
    if not family.axes:
        return family.rows
    placed = sorted((indices_of(family, names[row]), row) for row in family.rows)
    if end.tensors == family.count:
        return [row for _, row in placed]
    return [row for indices, row in placed if is_within(indices, chain, family)]


def is_within(indices: Sequence[int], chain: Sequence[Node], family: Family) -> bool:
    """Whether the tensor of these indices lies below each run of a chain of nodes."""
    walked = zip(indices, _walked(chain, family), strict=False)
    return all(within is None or index in within for index, within in walked)


def _walked(chain: Sequence[Node], family: Family) -> Iterator[IndexSet | None]:
    """For each index of a name the run that the chain passes, None where it tells none."""
    stars = 0
    for node in chain:
        if node.path in ("", family.component):
            continue
        passed = len(split_stars(node.path)) - 1 - stars
        yield from [node.repeat] if node.repeat is not None else [None] * passed
        stars += passed


def placed_name(pattern: str, indices: Sequence[int]) -> str:
    """What tells a tensor from the others of its pattern: `layers.3 experts.17`."""
    told: list[str] = []
    left = list(indices)
    before = ""
    for segment in pattern.split("."):
        pieces = split_stars(segment)
        here, left = left[: len(pieces) - 1], left[len(pieces) - 1 :]
        if here:
            written = "".join(
                unescape(piece) + index
                for piece, index in zip(pieces, [*map(str, here), ""], strict=True)
            )
            told.append(f"{before}.{written}" if before and segment == "*" else written)
        before = "" if here else unescape(segment)
    return words.label(" ".join(told) or pattern)
