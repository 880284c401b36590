"""Numbers inside a segment that are indices after all: `expert_7`, `shard_3`, kohya's names.

A segment with letters and digits is a name (`fc1`, `layer_norm1`), as a rule. The exceptions are
collapsed under a guard: the number stands alone after an underscore, at least four siblings exist,
numbered from 0 without a gap, and each has the same names below it. Counting from 1 (`conv_1` to
`conv_4`) is how people name things that differ.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection

from ckptscan.names import split_stars

MIN_SIBLINGS = 4
# numbers looked at in one name; kohya's longest have five
MAX_NUMBERS = 8

# experts.expert_7.wi, lora_unet_down_blocks_0_attentions_0_proj
_NUMBER = re.compile(r"(?<=_)(0|[1-9][0-9]{0,17})(?=[_.]|$)")

Numbers = tuple[tuple[int, str], ...]


class _Name:
    """A pattern taken apart at its numbers; `done` grows from the left as they are decided."""

    def __init__(self, pattern: str) -> None:
        pieces = _NUMBER.split(pattern, MAX_NUMBERS)
        self.done = pieces[0]
        self.numbers = pieces[1::2]
        self.texts = pieces[2::2]
        self.taken: list[tuple[int, str]] = []

    def rest(self, turn: int) -> str:
        """All that follows the number whose turn it is."""
        pairs = zip(self.texts[turn:], [*self.numbers[turn + 1 :], ""], strict=True)
        return "".join(text + number for text, number in pairs)

    def decide(self, turn: int, is_index: bool) -> None:
        """Take the number as an index, or as part of the name."""
        if is_index:
            stars = len(split_stars(self.done)) - 1
            self.taken.append((stars, self.numbers[turn]))
        self.done += ("*" if is_index else self.numbers[turn]) + self.texts[turn]


def collapse_numbered(patterns: Collection[str]) -> dict[str, tuple[str, Numbers]]:
    """For each pattern that the guard collapses: its new form, and the numbers it gave up.

    A number comes with the place of its star among the stars of the new pattern.
    """
    names = {pattern: _Name(pattern) for pattern in patterns if _NUMBER.search(pattern)}
    for turn in range(MAX_NUMBERS):
        waiting = [name for name in names.values() if turn < len(name.numbers)]
        siblings: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for name in waiting:
            siblings[name.done][name.numbers[turn]].add(name.rest(turn))
        passed = {prefix for prefix, below in siblings.items() if _is_guarded(below)}
        for name in waiting:
            name.decide(turn, name.done in passed)
    return {
        pattern: (name.done, tuple(name.taken)) for pattern, name in names.items() if name.taken
    }


def _is_guarded(below: dict[str, set[str]]) -> bool:
    """Whether the siblings are many, numbered from 0 without a gap, and all alike below."""
    if len(below) < MIN_SIBLINGS:
        return False
    if sorted(map(int, below)) != list(range(len(below))):
        return False
    first, *others = below.values()
    return all(other == first for other in others)
