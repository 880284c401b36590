r"""Regular expressions out of a config, matched in time linear in the name; judges nothing.

Quantizers list modules as `re:.*\.mlp\.gate$`. Such an expression is the checkpoint's, and
Python's own engine can be kept busy for years by one. This one knows literals, `.`, classes,
groups, `|`, `*`, `+`, `?`, `^` and `$`, follows all ways at once, and leaves alone what it does
not know.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_LONGEST = 512  # characters of an expression, and of a name
_MOST_STEPS = 100_000  # of one expression, over all names
# \d \w \s and a class in brackets: what a set of characters may be written as
_CLASS = re.compile(r"\[(?!\^?\])\^?(?:\\.|[^\]\\])+\]|\\[dwsDWS]|\.")
_PART = re.compile(
    r"\\(.)|([^\\])(?:-([^\\\]]))?", re.DOTALL
)  # of a class: an escape, a range, one
_SPECIAL = "*+?|()[]{}^$\\."
_END = ""  # is read after the last character


class _State(NamedTuple):
    """A place in an expression: what it reads, None for nothing, and where it goes on."""

    reads: Callable[[str], bool] | None
    after: tuple[int, ...]


class Expression:
    """An expression that was understood; `matches` tests the beginning of a name, as re.match."""

    def __init__(self, states: list[_State], start: int, final: int) -> None:
        self._states = states
        self._start = start
        self._final = final
        self._known: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._steps = 0

    def matches(self, name: str) -> bool:
        """Whether a name begins as the expression says; False once it took too many steps."""
        now = self._closed({self._start})
        for char in (*name[:_LONGEST], _END):
            if self._final in now:
                return True
            if not now or self._steps > _MOST_STEPS:
                return False
            now = self._next(now, char)
        return self._final in now

    def _next(self, now: frozenset[int], char: str) -> frozenset[int]:
        if (now, char) not in self._known:
            self._steps += len(now)
            reached: set[int] = set()
            for place in now:
                reads, after = self._states[place]
                if reads is not None and reads(char):
                    reached.update(after)
            self._known[now, char] = self._closed(reached)
        self._steps += 1
        return self._known[now, char]

    def _closed(self, places: set[int]) -> frozenset[int]:
        waiting, found = list(places), set(places)
        while waiting:
            reads, after = self._states[waiting.pop()]
            self._steps += 1
            for place in after if reads is None else ():
                if place not in found:
                    found.add(place)
                    waiting.append(place)
        return frozenset(found)


class _Unknown(Exception):
    """Something in an expression that is not known here."""


def expression(text: str) -> Expression | None:
    """The expression that a text is, None where it holds what is not known, or is too long."""
    if not 0 < len(text) <= _LONGEST:
        return None
    reader = _Reader(text)
    try:
        start, final = reader.either()
    except (_Unknown, IndexError, re.error):
        return None
    if reader.place != len(reader.text):
        return None
    return Expression(reader.states, start, final)


_KINDS: dict[str, Callable[[str], bool]] = {
    "d": lambda char: char.isascii() and char.isdigit(),
    "w": lambda char: char == "_" or (char.isascii() and char.isalnum()),
    "s": lambda char: bool(char) and char in " \t\n\r\f\v",
}


def _class(text: str) -> Callable[[str], bool]:
    """What a class reads: a point, a letter for a kind, or one in brackets."""
    if text == ".":
        return lambda char: char not in ("", "\n")
    if text[0] == "\\":
        return _kind(text[1])
    is_not = text[1] == "^"
    tests: list[Callable[[str], bool]] = []
    parts = _PART.findall(text[2 if is_not else 1 : -1])
    for escaped, first, last in parts:
        if escaped:
            tests.append(_kind(escaped) if escaped.lower() in _KINDS else _literal(escaped))
        elif last:
            tests.append(_between(first, last))
        else:
            tests.append(first.__eq__)
    return lambda char: char != _END and any(test(char) for test in tests) != is_not


def _kind(letter: str) -> Callable[[str], bool]:
    test = _KINDS[letter.lower()]
    return test if letter.islower() else lambda char: char != _END and not test(char)


def _between(first: str, last: str) -> Callable[[str], bool]:
    return lambda char: char != _END and first <= char <= last


def _literal(char: str) -> Callable[[str], bool]:
    if char.isalnum():
        raise _Unknown
    return char.__eq__


class _Reader:
    """Reads an expression into states, by descent; groups may lie 20 deep."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.place = 0
        self.states: list[_State] = []
        self.depth = 0
        self._began = 0  # the alternative outside of groups

    def _add(self, reads: Callable[[str], bool] | None, *after: int) -> int:
        self.states.append(_State(reads, after))
        return len(self.states) - 1

    def _peek(self) -> str:
        return self.text[self.place] if self.place < len(self.text) else ""

    def either(self) -> tuple[int, int]:
        """Alternatives."""
        ways = [self._row()]
        while self._peek() == "|":
            self.place += 1
            self._began = self.place if not self.depth else self._began
            ways.append(self._row())
        if len(ways) == 1:
            return ways[0]
        final = self._add(None)
        for _, end in ways:
            self._join(end, final)
        return self._add(None, *(start for start, _ in ways)), final

    def _join(self, end: int, *after: int) -> None:
        reads, before = self.states[end]
        self.states[end] = _State(reads, (*before, *after))

    def _row(self) -> tuple[int, int]:
        start = end = self._add(None)
        while self._peek() not in ("", "|", ")"):
            first, last = self._repeated()
            self._join(end, first)
            end = last
        return start, end

    def _repeated(self) -> tuple[int, int]:
        first, last = self._atom()
        sign = self._peek()
        if sign not in ("*", "+", "?") or not sign:
            return first, last
        self.place += 1
        if self._peek() == "?":  # lazy: finds the same
            self.place += 1
        if self._peek() in ("+", "*"):
            raise _Unknown
        final = self._add(None)
        self._join(last, final)
        if sign != "?":
            self._join(last, first)
        return (first if sign == "+" else self._add(None, first, final)), final

    def _atom(self) -> tuple[int, int]:
        if self._peek() == "(":
            return self._group()
        match = _CLASS.match(self.text, self.place)
        if match is not None:
            self.place = match.end()
            return self._reading(_class(match[0]))
        char = self.text[self.place]
        self.place += 1
        if char == "$":
            if self._peek() not in ("", "|", ")"):
                raise _Unknown
            return self._reading(lambda other: other == _END)
        if char == "^" and self.place in (1, self._began + 1):
            empty = self._add(None)
            return empty, empty
        if char == "\\":
            char = self.text[self.place]
            self.place += 1
            if char.isalnum():
                raise _Unknown
        elif char in _SPECIAL:
            raise _Unknown
        return self._reading(char.__eq__)

    def _reading(self, reads: Callable[[str], bool]) -> tuple[int, int]:
        final = self._add(None)
        return self._add(reads, final), final

    def _group(self) -> tuple[int, int]:
        self.place += 3 if self.text.startswith("(?:", self.place) else 1
        self.depth += 1
        if self._peek() == "?" or self.depth > 20:
            raise _Unknown
        found = self.either()
        if self._peek() != ")":
            raise _Unknown
        self.place += 1
        self.depth -= 1
        return found
