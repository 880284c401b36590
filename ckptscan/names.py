"""Tensor names: name -> pattern and indices, natural order, sets of indices.

`model.layers.3.mlp.experts.17.up_proj.weight` has the pattern
`model.layers.*.mlp.experts.*.up_proj.weight` and the indices (3, 17). A dot segment that is all
ASCII digits is an index, at any depth and position; a segment that merely holds digits (`fc1`,
`w13`) is a name. Which names belong together is structure's affair.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

# longer runs of digits are names: no model has 10**18 layers, and int() refuses 4,300 digits
MAX_INDEX_DIGITS = 18

# Unicode's Default_Ignorable_Code_Point and the blank braille cell, as far as Python prints them
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164"
    "\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_DIGITS = re.compile(r"(\d+)", re.ASCII)
_PATTERN_TOKEN = re.compile(r"[^*\\]+|\\.|\*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def natural_key(text: str) -> tuple[list[str | int], str]:
    """A sort key under which `layers.10` follows `layers.9`; total, also for odd names."""
    parts: list[str | int] = list(_DIGITS.split(text))
    parts[1::2] = [int(str(digits)[-MAX_INDEX_DIGITS:]) for digits in parts[1::2]]
    return parts, text


def is_visible(text: str) -> bool:
    """Whether every character can be seen, and none is obeyed by a terminal."""
    return (text.isascii() and text.isprintable()) or (
        text.isprintable() and _INVISIBLE.search(text) is None
    )


def is_index(segment: str) -> bool:
    """Whether a dot segment is an index: ASCII digits alone, and not absurdly many."""
    return segment.isascii() and segment.isdigit() and len(segment) <= MAX_INDEX_DIGITS


def escape(segment: str) -> str:
    r"""A literal segment as it stands in a pattern: `*` and `\` are escaped with `\`."""
    if "*" in segment or "\\" in segment:
        return segment.replace("\\", "\\\\").replace("*", "\\*")
    return segment


def unescape(text: str) -> str:
    """The literal text of a piece of pattern, the inverse of `escape`."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def split_stars(pattern: str) -> list[str]:
    """The pieces of a pattern before, between and after its stars, still escaped."""
    if "\\" not in pattern:
        return pattern.split("*")
    pieces: list[list[str]] = [[]]
    for token in _PATTERN_TOKEN.findall(pattern):
        if token == "*":
            pieces.append([])
        else:
            pieces[-1].append(token)
    return ["".join(piece) for piece in pieces]


@dataclass(frozen=True, slots=True)
class IndexSet:
    """A sorted set of indices as inclusive ranges, written `0-2,5`; `width` pads with zeros."""

    ranges: tuple[tuple[int, int], ...]
    width: int = 0

    @classmethod
    def of(cls, indices: Iterable[int], width: int = 0) -> IndexSet:
        """The set of these indices, in any order and with repeats."""
        ranges: list[tuple[int, int]] = []
        for index in sorted(set(indices)):
            if ranges and index == ranges[-1][1] + 1:
                ranges[-1] = (ranges[-1][0], index)
            else:
                ranges.append((index, index))
        return cls(tuple(ranges), width)

    @classmethod
    def parse(cls, text: str) -> IndexSet:
        """The set that `str` wrote; raises ValueError on anything else."""
        ranges, width = [], 0
        for part in text.split(",") if text else ():
            first, dash, last = part.partition("-")
            if not (is_index(first) and (is_index(last) if dash else True)):
                raise ValueError(f"not a set of indices: {text!r}")
            ranges.append((int(first), int(last or first)))
            width = max(width, len(first) if first[0] == "0" and len(first) > 1 else 0)
        return cls(tuple(ranges), width)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __contains__(self, index: int) -> bool:
        return any(first <= index <= last for first, last in self.ranges)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __str__(self) -> str:
        def written(index: int) -> str:
            return f"{index:0{self.width}d}"

        return ",".join(
            written(first) if first == last else f"{written(first)}-{written(last)}"
            for first, last in self.ranges
        )


def fill(pattern: str, indices: Sequence[int], axes: Sequence[IndexSet]) -> str:
    """The name that a pattern gives for one index per star; axes tell the zero padding."""
    pieces = map(unescape, split_stars(pattern))
    written = [f"{index:0{axis.width}d}" for index, axis in zip(indices, axes, strict=True)]
    return "".join(piece + index for piece, index in zip(pieces, [*written, ""], strict=True))
