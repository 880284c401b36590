"""Sources are asked where their files are stored, as far as they can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from ckptscan.content.stored import Side, whereabouts
from ckptscan.content.xet import Stretch
from ckptscan.sources.hub.reconstruction import Answer, answer_of, linked, terms_of
from ckptscan.sources.memory import MemorySource
from ckptscan.sources.terms import UNTOLD, Doubt, Terms
from tests.standin.chunks import Run, reconstruction

X, Y = "a" * 64, "b" * 64
SIZES = [10] * 8


class Telling(MemorySource):
    """A source that tells where its files are stored; counts what it is asked."""

    def __init__(self, stored: dict[str, list[Run]]) -> None:
        super().__init__({})
        self._stored = stored
        self.asked: list[tuple[str, int]] = []

    def _told(self, path: str, start: int, end: int) -> Answer:
        found = reconstruction(self._stored[path], start, end, is_trimmed=True)
        return answer_of(json.dumps(found).encode(), start, end)

    def terms(self, paths: Sequence[str]) -> Iterator[tuple[str, Terms]]:
        for path in paths:
            size = sum(sum(run.sizes) for run in self._stored[path])
            yield path, terms_of(size, [self._told(path, 0, size)])

    def link(self, doubts: Sequence[Doubt]) -> Iterator[tuple[str, Terms]]:
        for path, terms, offsets in doubts:
            self.asked += [(path, offset) for offset in offsets]
            yield path, linked(terms, [self._told(path, at, at + 1) for at in offsets])


WHOLE = Run(X, 0, SIZES)
PART = Run(X, 2, SIZES[2:6])


def test_chunks_are_asked_for_where_terms_alone_do_not_tell() -> None:
    a, b = Telling({"x": [WHOLE]}), Telling({"y": [Run(Y, 0, [5]), PART]})
    pair = Stretch(("a", "x"), 20, 60), Stretch(("b", "y"), 5, 45)
    places, problems = whereabouts(Side(a, ["x"]), Side(b, ["y"]), [pair])

    assert {} == problems
    assert places.proves_equal(*pair)
    assert ([("x", 20)], []) == (a.asked, b.asked)


def test_a_place_that_shows_nothing_is_followed_by_another() -> None:
    """The first pair is of other content in chunks of the same xorb."""
    a, b = Telling({"x": [WHOLE]}), Telling({"y": [PART]})
    wrong = Stretch(("a", "x"), 33, 43), Stretch(("b", "y"), 25, 35)
    right = Stretch(("a", "x"), 42, 60), Stretch(("b", "y"), 22, 40)
    places, _ = whereabouts(Side(a, ["x"]), Side(b, ["y"]), [wrong, right])

    assert [False, True] == [places.proves_equal(*pair) for pair in (wrong, right)]


def test_nothing_is_asked_without_need() -> None:
    a, b = Telling({"x": [WHOLE]}), Telling({"y": [WHOLE], "z": [Run(Y, 0, [5])]})
    pairs = [(Stretch(("a", "x"), 0, 80), Stretch(("b", "y"), 0, 80))]
    places, _ = whereabouts(Side(a, ["x"]), Side(b, ["y", "z"]), pairs)

    assert places.proves_equal(*pairs[0])
    assert [] == a.asked + b.asked


def test_a_source_that_tells_nothing_is_no_error() -> None:
    a, b = Telling({"x": [WHOLE]}), MemorySource({"y": bytes(80)})
    pair = Stretch(("a", "x"), 0, 80), Stretch(("b", "y"), 0, 80)
    places, problems = whereabouts(Side(a, ["x"]), Side(b, ["y"]), [pair])

    assert {("b", "y"): UNTOLD} == problems
    assert not places.proves_equal(*pair)
    assert [(0, 80)] == places.unproved(*pair)
