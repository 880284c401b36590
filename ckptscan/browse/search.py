"""Names found by parts of them, or by letters that follow each other: quick on 200,000 names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

MOST = 100  # names that a search gives
_LOOSE = 2000  # names that letters alone may find before the best are taken
_LONGEST = 100  # characters of a query that are looked for
_DOTTED = str.maketrans(dict.fromkeys("_-/:", "."))


class Finder:
    """Looks for names by words in any order; `_`, `-`, `:` and `/` are as good as a dot."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [f".{_folded(name)}." for name in names]
        self._text = "\n".join(self._names)  # a word is looked for in all of them at once

    def find(self, query: str) -> list[int]:
        """The rows of the best names: whole segments first, then beginnings, then other parts.

        Of a word that no name holds the letters are looked for, in turn; the closest come first.
        """
        words = [_folded(word) for word in query[:_LONGEST].split()]
        if not words:
            return []
        names = self._names
        loose = [word for word in words if word not in self._text]
        rows: Sequence[int] = range(len(names))
        for word in words:
            if word not in loose:
                rows = [row for row in rows if word in names[row]]
        return self._closest(rows, loose) if loose else self._best(rows, words)

    def _best(self, rows: Sequence[int], words: Sequence[str]) -> list[int]:
        """The best of the rows whose names hold all words."""
        names, longest = self._names, max(words, key=len)
        found: dict[int, None] = {}
        for needle in (f".{longest}.", f".{longest}", longest):
            held = (row for row in rows if needle in names[row])
            found |= dict.fromkeys(islice(held, MOST))
        return sorted(found, key=lambda row: self._rank(row, words))[:MOST]

    def _rank(self, row: int, words: Sequence[str]) -> tuple[int, int, int]:
        name = self._names[row]
        whole = sum(f".{word}." in name for word in words)
        begun = sum(f".{word}" in name for word in words)
        return -whole, -begun, row

    def _closest(self, rows: Iterable[int], words: Sequence[str]) -> list[int]:
        """Rows whose names hold the letters of each word in turn, the closest together first."""
        names = self._names
        for word in words:
            match = re.compile(_letters(word)).match
            rows = [row for row in rows if match(names[row])]
        found = list(islice(rows, _LOOSE))
        found.sort(key=lambda row: (sum(_spread(names[row], word) for word in words), row))
        return found[:MOST]


def _folded(text: str) -> str:
    return text.lower().translate(_DOTTED)


def _letters(word: str) -> str:
    """Matches the letters of a word in turn; what is skipped holds none, so time is linear."""
    return "".join(f"[^{re.escape(char)}]*{re.escape(char)}" for char in word)


def _spread(name: str, word: str) -> int:
    """The length of the shortest piece that ends where the first match of the letters ends."""
    end = 0
    for char in word:
        end = name.find(char, end) + 1
    start = end
    for char in reversed(word):
        start = name.rfind(char, 0, start)
    return end - start
