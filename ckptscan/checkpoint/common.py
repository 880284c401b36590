"""What two readings have in common: files of equal content are fetched and parsed once.

Files are equal where their digests are, or where both are one stored file; what does not tell so
is read by each. One reading leads: the other asks for none of the files that the leading one
lists, and waits for what it makes of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Condition
from typing import TypeVar

from ckptscan.header import Header, parse_header
from ckptscan.index import Index
from ckptscan.sources import FileEntry

Made = TypeVar("Made", Header, Index, bytes)


class Alone:
    """A reading that has nothing in common with another."""

    def has(self, entry: FileEntry) -> bool:
        """Whether somebody else reads this file."""
        return False

    def find(self, entry: FileEntry, kind: type[Made]) -> Made | None:
        """What somebody else made of a file, None where nobody did; may wait."""
        return None

    def note(self, entry: FileEntry, made: Header | Index | bytes) -> None:
        """Tell what was made of a file."""

    def parsed(self, head: bytes, size: int) -> Header:
        """The header of a file of that size that begins so."""
        return parse_header(head, size)


class Leading(Alone):
    """The reading that goes first; `over` must be called once it has ended, however it did."""

    def __init__(self, entries: Iterable[FileEntry]) -> None:
        self._held = frozenset(map(_content, entries)) - {None}
        self._made: dict[tuple[object, type], Header | Index | bytes] = {}
        self._headers: dict[tuple[bytes, int], Header] = {}
        self._news = Condition()
        self._is_over = False

    def note(self, entry: FileEntry, made: Header | Index | bytes) -> None:
        """Tell what was made of a file to whoever waits for it."""
        with self._news:
            self._made[_content(entry), type(made)] = made
            self._news.notify_all()

    def parsed(self, head: bytes, size: int) -> Header:
        """The header, which another file that begins so has too."""
        if (head, size) not in self._headers:
            self._headers[head, size] = parse_header(head, size)
        return self._headers[head, size]

    def over(self) -> None:
        """Nothing more will be made."""
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def lists(self, entry: FileEntry) -> bool:
        """Whether it lists a file of this content."""
        return _content(entry) in self._held

    def awaited(self, entry: FileEntry, kind: type[Made]) -> Made | None:
        """What it made of a file of this content, once it has; None where it never does."""
        key = _content(entry), kind
        with self._news:
            self._news.wait_for(lambda: self._is_over or key in self._made)
            found = self._made.get(key)
        return found if isinstance(found, kind) else None


class Following(Alone):
    """The reading that takes from the leading one what that lists too."""

    def __init__(self, leading: Leading) -> None:
        self._leading = leading

    def has(self, entry: FileEntry) -> bool:
        """Whether the leading reading lists a file of this content."""
        return self._leading.lists(entry)

    def find(self, entry: FileEntry, kind: type[Made]) -> Made | None:
        """What the leading reading made of it; waits until it has, or is over."""
        return self._leading.awaited(entry, kind) if self.has(entry) else None

    def parsed(self, head: bytes, size: int) -> Header:
        """The header, as the leading reading has it where it has read the same."""
        return self._leading.parsed(head, size)


def _content(entry: FileEntry) -> tuple[str, int] | None:
    """What is equal for files of equal content; None where nothing tells."""
    told = entry.digest or entry.identity
    return (told, entry.size) if told and not entry.problem else None
