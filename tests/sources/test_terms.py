"""The seam to where files are stored."""

from __future__ import annotations

import pytest

from ckptscan.sources.base import FileEntry, Source
from ckptscan.sources.memory import MemorySource
from ckptscan.sources.terms import (
    UNTOLD,
    Doubt,
    Segment,
    Stored,
    Term,
    Terms,
    read_borders,
    read_terms,
)

TERM = Term("a", 0, 3, 30)


class Telling(MemorySource):
    """A source that tells where its one file is stored."""

    def terms(self, paths: list[str]) -> list[tuple[str, Terms]]:
        return [(path, Terms(30, (Segment(0, 30, TERM),))) for path in paths]

    def link(self, doubts: list[Doubt]) -> list[tuple[str, Terms]]:
        return [(path, terms._replace(borders=(TERM,))) for path, terms, _ in doubts]


def test_a_source_that_knows_is_asked() -> None:
    source = Telling({"x": bytes(30)})

    assert isinstance(source, Stored)
    assert [("x", Terms(30, (Segment(0, 30, TERM),)))] == list(read_terms(source, ["x"]))
    assert [("x", Terms(0, borders=(TERM,)))] == list(
        read_borders(source, [Doubt("x", Terms(0), (1,))])
    )


def test_of_any_other_source_nothing_is_known_and_that_is_no_error() -> None:
    source: Source = MemorySource({}, [FileEntry("x", 5)])

    ((path, terms),) = read_terms(source, ["x"])
    assert ("x", UNTOLD, False) == (path, terms.problem, terms.is_whole)
    assert [] == list(read_borders(source, [Doubt("x", Terms(0), (1,))]))


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(0), True),
        (Terms(30, (Segment(0, 30, TERM),)), True),
        (Terms(15, (Segment(0, 10, TERM, 3), Segment(10, 15, TERM, 25))), True),
        (Terms(0, problem="no"), False),
        (Terms(1), False),
        (Terms(29, (Segment(0, 30, TERM),)), False),
        (Terms(30, (Segment(1, 30, TERM),)), False),
        (Terms(30, (Segment(0, 10, TERM), Segment(11, 30, TERM))), False),
        (Terms(31, (Segment(0, 31, TERM),)), False),
        (Terms(30, (Segment(0, 30, TERM, 1),)), False),
        (Terms(20, (Segment(0, 20, TERM, -1),)), False),
        (Terms(30, (Segment(0, 30, TERM), Segment(30, 30, TERM))), False),
    ],
)
def test_terms_are_whole_where_each_byte_of_the_file_lies_in_one(
    terms: Terms, expected: bool
) -> None:
    assert expected == terms.is_whole
