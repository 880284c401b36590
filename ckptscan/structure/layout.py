"""Letters -> their shortest description: `A x 28`, `A x 3, B x 58`, `(A A A B) x 12`.

A container's children are written as one letter each, the same for children that are alike. What
people call the layout of a model is the pattern of these letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

MAX_PERIOD = 64
MAX_PREFIX = 8


class Run(NamedTuple):
    """A pattern of letters that stands `times` times in a row."""

    letters: tuple[str, ...]
    times: int

    def __str__(self) -> str:
        inner = " ".join(self.letters)
        if self.times == 1:
            return inner
        return f"{inner} x {self.times}" if len(self.letters) == 1 else f"({inner}) x {self.times}"


def letter(number: int) -> str:
    """A, B ... Z, AA, AB ... for 0, 1, 2 ..."""
    text = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        text = chr(ord("A") + place) + text
    return text


def describe(letters: Sequence[str]) -> tuple[Run, ...]:
    """The shortest description: runs of equal letters, or one repeated pattern within runs.

    Tried are patterns of up to 64 letters after up to 8 others; a pattern must repeat in full at
    least twice and save letters against the plain runs.
    """
    plain = _runs(letters)
    if len(plain) <= 2:
        return plain
    best = min(_periodic(letters), key=_cost, default=plain)
    return best if _cost(best) < _cost(plain) else plain


def _cost(runs: Sequence[Run]) -> tuple[int, int]:
    """Letters written, then the number of runs."""
    return sum(len(run.letters) for run in runs), len(runs)


def _runs(letters: Sequence[str]) -> tuple[Run, ...]:
    return tuple(Run((char,), len(list(same))) for char, same in groupby(letters))


def _periodic(letters: Sequence[str]) -> Iterator[tuple[Run, ...]]:
    """Descriptions as prefix, repeated pattern, rest; the pattern is never of one letter."""
    size = len(letters)
    for prefix in range(min(MAX_PREFIX, size) + 1):
        for period in range(2, min(MAX_PERIOD, (size - prefix) // 2) + 1):
            pattern = letters[prefix : prefix + period]
            end = prefix
            while letters[end : end + period] == pattern:
                end += period
            times = (end - prefix) // period
            if times > 1 and len(set(pattern)) > 1:
                yield (
                    *_runs(letters[:prefix]),
                    Run(tuple(pattern), times),
                    *_runs(letters[end:]),
                )
