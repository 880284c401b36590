"""A line of policy -> tokens, and reading them one after the other with errors that say where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple, NoReturn, TypeVar

from ckptscan.errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>"[^"]*"|'[^']*')
    | (?P<shape>\[[^][]*\])
    | (?P<number>(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?)
    | (?P<word>[A-Za-z_][\w.-]*)
    | (?P<symbol><=|>=|!=|==|[=<>%:≤≥])
    )""",
    re.VERBOSE | re.ASCII,
)
_END = "the end"

T = TypeVar("T")


class Token(NamedTuple):
    """A piece of a line; kind "" is its end."""

    kind: str
    text: str
    start: int


class Scanner:
    """The tokens of a line, and how far they have been read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = []
        self.why = ""
        self.place = 0
        self.first = 0
        self.until = len(text)
        self._scan()

    @property
    def asserted(self) -> str:
        """The line without severity and reason."""
        return self.text[self.first : self.until].strip()

    def _scan(self) -> None:
        reached = 0
        while self.text[reached:].strip():
            match = _TOKEN.match(self.text, reached)
            if match is None:
                start = reached + len(self.text[reached:]) - len(self.text[reached:].lstrip())
                self.fail(f"{self.text[start]!r} has no meaning here", start, "see the README")
            kind = match.lastgroup or ""
            start, reached = match.span(kind)
            if kind == "word" and match[kind].lower() == "because":
                self.why, self.until = self.text[reached:].strip(), start
                return
            self.tokens.append(Token(kind, match[kind], start))

    def fail(self, message: str, start: int, hint: str) -> NoReturn:
        """Raise the error for a place of the line."""
        raise UsageError(f"column {start + 1} of {self.text[:200]!r}: {message}", hint)

    def wrong(self, expected: str, known: Iterable[str] = ()) -> NoReturn:
        """Raise the error for the token at hand, with the nearest of the words that fit."""
        import difflib

        token, known = self.token, list(known)
        seen = token.text if token.kind else _END
        close = difflib.get_close_matches(token.text.lower(), known, 1, 0.6)
        listed = f"there are: {', '.join(known)}" if known else "see the README's policy"
        hint = f"did you mean {close[0]}?" if close else listed
        self.fail(f"expected {expected}, not {seen[:80]!r}", token.start, hint)

    @property
    def token(self) -> Token:
        """The token at hand."""
        if self.place < len(self.tokens):
            return self.tokens[self.place]
        return Token("", "", self.until)

    def word(self, ahead: int = 0) -> str:
        """The word so far ahead in lower case; "" where there is none."""
        place = self.place + ahead
        if place < len(self.tokens) and self.tokens[place].kind == "word":
            return self.tokens[place].text.lower()
        return ""

    def take(self, kind: str) -> str | None:
        """The text of the token at hand if it is of that kind, which is read then."""
        if self.token.kind != kind:
            return None
        self.place += 1
        return self.tokens[self.place - 1].text

    def takes(self, *wanted: str) -> bool:
        """Whether these words follow, which are read then."""
        if [self.word(ahead) for ahead in range(len(wanted))] != list(wanted):
            return False
        self.place += len(wanted)
        return True

    def phrase(self, known: Mapping[str, T]) -> tuple[T | None, int]:
        """What the longest phrase at hand means, and how many words it has."""
        for count in (3, 2, 1):
            phrase = " ".join(self.word(ahead) for ahead in range(count))
            if phrase in known:
                return known[phrase], count
        return None, 0

    def take_symbol(self, symbol: str) -> bool:
        """Whether this sign follows, which is read then."""
        if self.token.text != symbol:
            return False
        self.place += 1
        return True
