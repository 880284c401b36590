"""Answers of the reconstruction API: what is taken of them, and what can't be true."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.content.xet import Stretch, Whereabouts
from ckptscan.sources.hub.reconstruction import (
    MAX_TERMS,
    Answer,
    Unsound,
    answer_of,
    from_document,
    linked,
    terms_of,
    to_document,
)
from ckptscan.sources.terms import Segment, Term, Terms
from tests.conftest import FIXTURES
from tests.standin.chunks import Run, reconstruction

X, Y = "a" * 64, "b" * 64
RECORDED = FIXTURES / "xet"


def told(*terms: tuple[object, object, object, object], offset: object = 0) -> bytes:
    """An answer of terms: xorb, first chunk, last, bytes."""
    rows = [
        {"hash": xorb, "unpacked_length": length, "range": {"start": first, "end": last}}
        for xorb, first, last, length in terms
    ]
    return json.dumps({"offset_into_first_range": offset, "terms": rows}).encode()


def test_an_answer_in_the_documented_shape() -> None:
    """The example of the download protocol, with the chunk that is used twice."""
    raw = (RECORDED / "documented-v1.json").read_bytes()
    size = 263_873 + 143_890 + 3_063_572
    found = terms_of(size, [answer_of(raw, 0, size)])
    names = {segment.term.xorb[:4]: segment.term.xorb for segment in found.segments}

    assert [(1, 4), (0, 3), (3, 43)] == [
        (segment.term.first, segment.term.last) for segment in found.segments
    ]
    assert ["a1b2", "fedc"] == list(names)
    places = Whereabouts({"file": found})
    assert not places.contradicted
    twice = places.spans(Stretch("file", 263_873 + 143_890, size))
    assert twice is not None


def test_version_2_tells_the_same_terms() -> None:
    answers = [
        answer_of((RECORDED / f"documented-{version}.json").read_bytes(), 0, 5)
        for version in ("v1", "v2")
    ]

    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no terms"),
        (b"{}", "no terms"),
        (b'{"offset_into_first_range": 0, "terms": {}}', "no terms"),
        (b'{"offset_into_first_range": 0, "terms": [1]}', "is none"),
        (b'{"offset_into_first_range": 0, "terms": [{"range": 1}]}', "is none"),
        (told((X, 0, 1, 5), offset=None), "no terms"),
        (told((X, 0, 1, 5), offset=-1), "no terms"),
        (told((X, 0, 1, 5), offset=True), "no terms"),
        (told((X, 0, 1, 5), offset=5), "begin after"),
        (told(offset=1), "begin after"),
        (told(("../x", 0, 1, 5)), "no xorb"),
        (told((X.upper(), 0, 1, 5)), "no xorb"),
        (told((None, 0, 1, 5)), "no xorb"),
        (told((X, 0, 1, "5")), "no numbers"),
        (told((X, 0, 1, 5.0)), "no numbers"),
        (told((X, 0, 1, 10**30)), "no numbers"),
        (told((X, -1, 1, 5)), "no numbers"),
        (told((X, 0, True, 5)), "no numbers"),
        (told((X, 1, 1, 5)), "no chunks"),
        (told((X, 3, 1, 5)), "no chunks"),
        (told((X, 0, 6, 5)), "fewer bytes"),
        (told((X, 0, 1, 0)), "fewer bytes"),
        (told(*[(X, 0, 1, 5)] * (MAX_TERMS + 1)), "more than 100,000"),
    ],
)
def test_an_answer_that_can_not_be_true(raw: bytes, reason: str) -> None:
    with pytest.raises(Unsound, match=reason):
        answer_of(raw, 0, 5)


@given(st.binary() | st.recursive(st.none() | st.integers(), st.lists).map(str).map(str.encode))
def test_any_bytes_are_an_answer_or_unsound(raw: bytes) -> None:
    with suppress(Unsound):
        answer_of(raw, 0, 5)


@pytest.mark.parametrize(
    "raw",
    [
        told(),
        told((X, 0, 1, 4)),
        told((X, 0, 1, 6)),
        told((X, 0, 1, 5), (X, 1, 2, 1)),
        told((X, 0, 1, 6), offset=2),
    ],
)
def test_terms_must_have_the_bytes_of_the_file(raw: bytes) -> None:
    with pytest.raises(Unsound, match="bytes, the file has 5"):
        terms_of(5, [answer_of(raw, 0, 5)])


def test_answers_must_follow_each_other() -> None:
    first, second = answer_of(told((X, 0, 1, 5)), 0, 5), answer_of(told((X, 1, 2, 5)), 5, 10)

    assert 10 == terms_of(10, [first, second]).segments[-1].end
    for wrong in ([second], [second, first], [first, first], [first], [first, second, second]):
        with pytest.raises(Unsound):
            terms_of(10, wrong)


def test_too_many_terms_in_all() -> None:
    half = Answer(0, MAX_TERMS - 1, 0, (Term(X, 0, 1, 1),) * (MAX_TERMS - 1))
    rest = Answer(MAX_TERMS - 1, MAX_TERMS + 1, 0, (Term(X, 0, 1, 1),) * 2)

    with pytest.raises(Unsound, match="more than 100,000"):
        terms_of(MAX_TERMS + 1, [half, rest])


def test_a_file_without_bytes_has_no_terms() -> None:
    assert Terms(0) == terms_of(0, [])


SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=6)
RUNS = st.lists(
    st.builds(Run, st.sampled_from([X, Y]), st.integers(0, 3), SIZES), min_size=1, max_size=4
)


def batched(runs: list[Run], size: int, cuts: list[int], *, is_trimmed: bool) -> Terms:
    """The terms of a file, asked for in parts."""
    bounds = [0, *sorted({cut for cut in cuts if 0 < cut < size}), size]
    answers = []
    for start, end in pairwise(bounds):
        raw = json.dumps(reconstruction(runs, start, end, is_trimmed=is_trimmed)).encode()
        answers.append(answer_of(raw, start, end))
    return terms_of(size, answers)


@given(
    st.lists(SIZES, min_size=2, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(1, 6)), max_size=5),
    st.lists(st.integers(0, 90), max_size=4),
    st.booleans(),
)
def test_terms_that_are_asked_for_in_parts_prove_what_the_whole_proves(
    xorbs: list[list[int]],
    picks: list[tuple[int, int, int]],
    cuts: list[int],
    is_trimmed: bool,
) -> None:
    runs = [
        Run((X, Y)[xorb], first, xorbs[xorb][first : first + count])
        for xorb, first, count in picks
        if first < len(xorbs[xorb])
    ]
    size = sum(sum(run.sizes) for run in runs)
    whole = batched(runs, size, [], is_trimmed=True)
    parts = batched(runs, size, cuts, is_trimmed=is_trimmed)
    places = Whereabouts({"whole": whole, "parts": parts})

    assert not places.contradicted
    assert from_document(to_document(parts), size) == parts
    assert places.spans(Stretch("whole", 0, size)) is not None
    assert places.proves_equal(Stretch("whole", 0, size), Stretch("parts", 0, size))
    address = [
        (run.xorb, run.first + at, byte)
        for run in runs
        for at, nbytes in enumerate(run.sizes)
        for byte in range(nbytes)
    ]
    for a in range(size):
        for b in range(size):
            one, other = Stretch("whole", a, a + 1), Stretch("parts", b, b + 1)
            assert address[a] == address[b] or not places.proves_equal(one, other)


def test_a_part_that_begins_within_a_term_is_linked_to_it() -> None:
    whole = terms_of(100, [answer_of(told((X, 0, 10, 100)), 0, 100)])
    parts = terms_of(
        100,
        [
            answer_of(told((X, 0, 6, 60)), 0, 55),
            answer_of(told((X, 5, 10, 50), offset=5), 55, 100),
        ],
    )

    assert (Term(X, 0, 5, 50),) == parts.borders
    assert Segment(55, 100, Term(X, 5, 10, 50), 5) == parts.segments[1]
    places = Whereabouts({"whole": whole, "parts": parts})
    assert places.proves_equal(Stretch("whole", 0, 100), Stretch("parts", 0, 100))


def test_a_chunk_within_a_term_tells_two_borders() -> None:
    whole = terms_of(100, [answer_of(told((X, 2, 12, 100)), 0, 100)])
    chunk = Term(X, 5, 6, 9)

    def known(*answers: Answer) -> tuple[Term, ...]:
        return linked(whole, answers).borders

    assert (Term(X, 2, 5, 30), chunk) == known(Answer(33, 34, 3, (chunk,)))
    assert known(Answer(33, 34, 3, (chunk,))) == known(*[Answer(33, 34, 3, (chunk,))] * 2)
    for nothing in (
        Answer(3, 4, 3, (whole.segments[0].term,)),
        Answer(33, 34, 3, (chunk._replace(xorb=Y),)),
        Answer(33, 34, 3, (chunk._replace(first=20, last=21),)),
        Answer(33, 34, 3, ()),
        Answer(33, 34, 3, (chunk, chunk)),
        Answer(133, 134, 3, (chunk,)),
    ):
        assert () == known(nothing)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b'{"size":5,"xorbs":[],"segments":[[0,5,0,0,0,1,5]],"borders":[]}',
        b'{"size":5,"xorbs":["x"],"segments":[[0,5,0,0,0,1,5]],"borders":[]}',
        b'{"size":5,"xorbs":["' + X.encode() + b'"],"segments":[[0,4,0,0,0,1,5]],"borders":[]}',
        b'{"size":6,"xorbs":["' + X.encode() + b'"],"segments":[[0,5,0,0,0,1,5]],"borders":[]}',
        b'{"size":5,"xorbs":["' + X.encode() + b'"],"segments":[[0,5,0]],"borders":[]}',
        b'{"size":5,"xorbs":["' + X.encode() + b'"],"segments":[[0,5,0,0,0,1,5]],"borders":7}',
        b'{"size":5,"xorbs":["' + X.encode() + b'"],"segments":[[0,5,0,0,0,1,5]]}',
    ],
)
def test_what_is_kept_is_believed_only_where_it_is_sound(raw: bytes) -> None:
    assert from_document(raw, 5) is None
