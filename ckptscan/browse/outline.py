"""The tree as the lines that can be seen: which are open, and how a place is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ckptscan.browse.entries import Entry
from ckptscan.browse.places import Place


class Line(NamedTuple):
    """One line that can be seen; `depth` is 0 at the root."""

    entry: Entry
    depth: int
    is_open: bool = False


class Outline:
    """The lines of a tree from top to bottom; `below` gives what lies below a line."""

    def __init__(self, root: Entry, below: Callable[[Entry], Sequence[Entry]]) -> None:
        self._below = below
        self.lines = [Line(root, 0)]
        self.open(0)

    def open(self, number: int) -> None:
        """Show what lies below a line."""
        line = self.lines[number]
        if line.is_open or not line.entry.opens:
            return
        inner = [Line(entry, line.depth + 1) for entry in self._below(line.entry)]
        self.lines[number : number + 1] = [line._replace(is_open=True), *inner]

    def close(self, number: int) -> None:
        """Hide all that lies below a line."""
        line = self.lines[number]
        if line.is_open:
            self.lines[number : self.end(number)] = [line._replace(is_open=False)]

    def end(self, number: int) -> int:
        """The first line after those that lie below a line."""
        depth = self.lines[number].depth
        after = number + 1
        while after < len(self.lines) and self.lines[after].depth > depth:
            after += 1
        return after

    def parent(self, number: int) -> int:
        """The line that a line lies below; the root's is the root."""
        depth = self.lines[number].depth
        while number and self.lines[number].depth >= depth:
            number -= 1
        return number

    def reveal(self, place: Place) -> int:
        """Open what hides a place; gives its line, or the nearest one above it."""
        number = 0
        while not place.is_at(self.lines[number].entry):
            self.open(number)
            inner = range(number + 1, self.end(number))
            deeper = [
                below
                for below in inner
                if self.lines[below].depth == self.lines[number].depth + 1
                and place.is_in(self.lines[below].entry)
            ]
            if not deeper:
                return number
            number = deeper[0]
        return number
