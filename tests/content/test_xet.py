"""Terms prove bytes equal: never what differs, and all that they link."""

from __future__ import annotations

import json
import time
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.content.xet import Question, Span, Stretch, Whereabouts, proved_equal
from ckptscan.sources.hub.reconstruction import Answer, answer_of, linked, terms_of
from ckptscan.sources.terms import Segment, Term, Terms
from tests.standin.chunks import Run, reconstruction

A, B, C = "aaa", "bbb", "ccc"


def terms(*runs: tuple[str, int, int, int], borders: Sequence[Term] = ()) -> Terms:
    """The terms of a file: runs as xorb, first chunk, last, bytes."""
    segments, at = [], 0
    for run in runs:
        segments.append(Segment(at, at + run[3], Term(*run)))
        at += run[3]
    return Terms(at, tuple(segments), tuple(borders))


class World(NamedTuple):
    """Chunks of xorbs, files as bytes, and their terms."""

    contents: list[bytes]
    files: list[Terms]


CHUNK = st.binary(min_size=1, max_size=3).map(lambda raw: bytes(byte & 1 for byte in raw))
XORBS = st.lists(st.lists(CHUNK, min_size=1, max_size=8), min_size=1, max_size=3)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Two files of runs of chunks, in terms that are cut at random, with random borders beside."""
    xorbs = draw(XORBS)

    def run() -> tuple[int, int, int]:
        xorb = draw(st.integers(0, len(xorbs) - 1))
        first = draw(st.integers(0, len(xorbs[xorb]) - 1))
        return xorb, first, draw(st.integers(first + 1, len(xorbs[xorb])))

    def term(xorb: int, first: int, last: int) -> Term:
        return Term(f"{xorb:064}", first, last, sum(map(len, xorbs[xorb][first:last])))

    contents, files = [], []
    for _ in range(2):
        runs = [run() for _ in range(draw(st.integers(0, 5)))]
        contents.append(b"".join(b"".join(xorbs[x][f:last]) for x, f, last in runs))
        borders = [term(*run()) for _ in range(draw(st.integers(0, 2)))]
        files.append(terms(*(term(*one) for one in runs), borders=borders))
    return World(contents, files)


def stretches(draw: st.DataObject, world: World) -> tuple[Stretch, Stretch]:
    """A stretch of each file, of one length."""
    most = min(map(len, world.contents))
    length = draw.draw(st.integers(0, most))
    starts = [draw.draw(st.integers(0, len(one) - length)) for one in world.contents]
    a, b = (Stretch(name, at, at + length) for name, at in enumerate(starts))
    return a, b


@given(worlds(), st.data())
def test_what_is_proved_equal_is_equal(world: World, data: st.DataObject) -> None:
    places = Whereabouts(dict(enumerate(world.files)))
    a, b = stretches(data, world)
    contents = [
        content[one.start : one.end] for content, one in zip(world.contents, (a, b), strict=True)
    ]
    is_open = [False] * a.length
    for start, end in places.unproved(a, b):
        is_open[start:end] = [True] * (end - start)

    assert not places.contradicted
    assert contents[0] == contents[1] or not places.proves_equal(a, b)
    assert places.proves_equal(a, b) == (not any(is_open))
    for left, right, unknown in zip(*contents, is_open, strict=True):
        assert left == right or unknown


@given(worlds(), st.data())
def test_a_proof_holds_both_ways_and_of_a_stretch_itself(world: World, data: st.DataObject) -> None:
    places = Whereabouts(dict(enumerate(world.files)))
    a, b = stretches(data, world)

    assert places.proves_equal(a, b) == places.proves_equal(b, a)
    assert places.proves_equal(a, a)
    assert [] == places.unproved(b, b)


@given(st.lists(CHUNK, min_size=2, max_size=12), st.data())
def test_a_file_that_was_cut_in_two_is_proved_whole(
    chunks: list[bytes], data: st.DataObject
) -> None:
    """The terms of resharding: one xorb, cut at a border, with another header before each part."""
    cut = data.draw(st.integers(1, len(chunks) - 1))
    head, tail = (sum(map(len, part)) for part in (chunks[:cut], chunks[cut:]))
    places = Whereabouts(
        {
            "whole": terms((A, 0, len(chunks), head + tail)),
            "head": terms((B, 0, 1, 5), (A, 0, cut, head)),
            "tail": terms((B, 1, 2, 7), (A, cut, len(chunks), tail)),
        }
    )

    assert places.proves_equal(Stretch("whole", 0, head), Stretch("head", 5, 5 + head))
    assert places.proves_equal(Stretch("whole", head, head + tail), Stretch("tail", 7, 7 + tail))


WHOLE = terms((A, 0, 10, 1000))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(terms((A, 0, 10, 1000)), True, id="the same term"),
        pytest.param(terms((B, 0, 10, 1000)), False, id="another xorb"),
        pytest.param(terms((A, 0, 4, 300), (A, 4, 10, 700)), True, id="the same in two terms"),
        pytest.param(terms((A, 0, 4, 300), (A, 5, 10, 700)), False, id="a chunk left out"),
        pytest.param(terms((A, 0, 4, 300), (B, 0, 1, 100), (A, 5, 10, 600)), False, id="a change"),
        pytest.param(terms((A, 0, 5, 500), (A, 0, 5, 500)), False, id="a part twice"),
        pytest.param(terms((A, 5, 10, 500), (A, 0, 5, 500)), False, id="parts the other way round"),
    ],
)
def test_a_whole_file(other: Terms, expected: bool) -> None:
    assert expected == proved_equal(WHOLE, (0, 1000), other, (0, 1000))


def test_a_stretch_that_begins_at_another_chunk_needs_a_border_that_links_it() -> None:
    inner = terms((A, 2, 6, 400))
    linked = terms((A, 0, 2, 150), (A, 2, 6, 400))

    assert not proved_equal(WHOLE, (150, 550), inner, (0, 400))
    assert proved_equal(WHOLE, (150, 550), linked, (150, 550))
    by_border = inner._replace(borders=(Term(A, 6, 10, 450),))
    assert proved_equal(WHOLE, (150, 550), by_border, (0, 400))
    assert not proved_equal(WHOLE, (151, 551), by_border, (0, 400))


def test_the_parts_that_are_open_are_those_of_chunks_that_differ() -> None:
    edited = terms((A, 0, 4, 300), (B, 0, 1, 100), (A, 5, 10, 600))
    places = Whereabouts({"a": WHOLE, "b": edited})

    assert [(300, 400)] == places.unproved(Stretch("a", 0, 1000), Stretch("b", 0, 1000))
    assert [(0, 50)] == places.unproved(Stretch("a", 350, 500), Stretch("b", 350, 500))
    assert places.proves_equal(Stretch("a", 400, 1000), Stretch("b", 400, 1000))


def test_spans_find_what_was_renamed() -> None:
    """One key for equal bytes, wherever they lie and however their terms are cut."""
    places = Whereabouts({"a": WHOLE, "b": terms((B, 0, 1, 9), (A, 0, 3, 250), (A, 3, 10, 750))})

    spans = places.spans(Stretch("a", 200, 300))
    assert spans == places.spans(Stretch("b", 209, 309))
    assert spans is not None
    assert [100] == [span.length for span in spans]
    assert spans != places.spans(Stretch("b", 210, 310))


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(terms((A, 0, 10, 999)), id="another length"),
        pytest.param(terms((A, 0, 4, 300), (A, 4, 10, 701)), id="another sum"),
        pytest.param(terms((A, 0, 9, 1000)), id="no byte for a chunk"),
        pytest.param(terms((A, 0, 12, 990)), id="more chunks, fewer bytes"),
    ],
)
def test_terms_that_contradict_each_other_prove_nothing_of_their_xorb(lie: Terms) -> None:
    places = Whereabouts({"a": terms((A, 0, 10, 1000), (B, 0, 1, 50)), "b": WHOLE, "lie": lie})

    assert frozenset({A}) == places.contradicted
    assert not places.proves_equal(Stretch("a", 0, 10), Stretch("b", 0, 10))
    assert places.spans(Stretch("a", 990, 1001)) is None
    assert places.proves_equal(Stretch("a", 1000, 1050), Stretch("a", 1000, 1050))
    assert [(0, 10)] == places.unproved(Stretch("a", 0, 10), Stretch("b", 0, 10))


@pytest.mark.parametrize(
    "stretch",
    [Stretch("none", 0, 5), Stretch("a", 990, 1001), Stretch("a", -1, 5), Stretch("lost", 0, 5)],
)
def test_of_what_is_not_known_nothing_is_proved(stretch: Stretch) -> None:
    gap = Terms(10, (Segment(1, 10, Term(A, 0, 1, 9)),))
    files: dict[Hashable, Terms] = {"a": WHOLE, "gap": gap, "lost": Terms(9, problem="no")}
    places = Whereabouts(files)

    assert places.spans(stretch) is None
    assert not places.proves_equal(stretch, stretch)
    assert [(0, stretch.length)] == places.unproved(stretch, stretch)
    assert places.spans(Stretch("gap", 2, 3)) is None


def test_nothing_is_equal_to_nothing_and_lengths_must_be_the_same() -> None:
    places = Whereabouts({"a": WHOLE, "empty": Terms(0)})

    assert () == places.spans(Stretch("empty", 0, 0)) == places.spans(Stretch("none", 0, 0))
    assert places.proves_equal(Stretch("empty", 0, 0), Stretch("a", 5, 5))
    assert not places.proves_equal(Stretch("a", 0, 5), Stretch("a", 0, 6))
    assert (Span(0, 5, 5),) == places.spans(Stretch("a", 5, 10))


def test_a_question_is_asked_where_lines_of_one_xorb_are_not_linked() -> None:
    """In order of the bytes that hang on it; of a border that is known nobody asks."""
    edited = terms((A, 2, 4, 200), (C, 0, 1, 100), (A, 5, 9, 400))
    places = Whereabouts({"a": WHOLE, "b": edited})
    pairs = [(Stretch("a", 210, 900), Stretch("b", 10, 700))]

    first, second, third = places.questions(pairs)
    assert (Question("a", 500), Question("a", 210), Question("b", 10)) == (first, second, third)
    assert [] == places.questions(pairs, {first, second})
    further = Stretch("a", 220, 230), Stretch("b", 20, 30)
    assert [Question("a", 220), Question("b", 20)] == places.questions(
        [*pairs, further], {first, second}
    )
    assert [] == places.questions([(Stretch("a", 0, 100), Stretch("b", 200, 300))])
    assert [] == places.questions([(Stretch("a", 0, 9), Stretch("none", 0, 9))])


@given(
    st.lists(st.integers(1, 9), min_size=4, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), min_size=1, max_size=5),
)
def test_whatever_is_stored_in_the_same_chunks_is_proved_in_the_end(
    sizes: list[int], picks: list[tuple[int, int]]
) -> None:
    """A file that is one xorb, and one of parts of it with new chunks between."""
    x, y = "a" * 64, "b" * 64
    runs, pairs, at = [], [], 0
    for number, (first, count) in enumerate(picks):
        run = Run(x, first, sizes[first : first + count])
        if run.sizes:
            begins, length = sum(sizes[:first]), sum(run.sizes)
            pairs.append(
                (Stretch("a", begins, begins + length), Stretch("b", at + 5, at + 5 + length))
            )
            runs += [Run(y, number, [5]), run]
            at += 5 + length
    stored = {"a": [Run(x, 0, sizes)], "b": runs}

    def told(file: Hashable, start: int, end: int) -> Answer:
        found = reconstruction(stored[str(file)], start, end, is_trimmed=True)
        return answer_of(json.dumps(found).encode(), start, end)

    ends = {"a": sum(sizes), "b": at}
    files = {name: terms_of(end, [told(name, 0, end)]) for name, end in ends.items() if end}
    places, asked = Whereabouts(files), set[Question]()
    while questions := places.questions(pairs, asked):
        asked |= set(questions)
        for file, offset in questions:
            files[str(file)] = linked(files[str(file)], [told(file, offset, offset + 1)])
        places = Whereabouts(files)

    assert not places.contradicted
    assert len(asked) <= len(pairs)
    assert all(places.proves_equal(*pair) for pair in pairs)


def test_many_stretches_are_proved_fast() -> None:
    """91,000 stretches of 163 files, resharded into others: 0.4 s, and 10 at the very most."""
    chunks = 1000
    whole = {("a", n): terms((f"{n}", 0, chunks, chunks * 64)) for n in range(163)}
    moved = {
        ("b", n): terms((f"{n}", 500, chunks, 500 * 64), (f"{(n + 1) % 163}", 0, 500, 500 * 64))
        for n in range(163)
    }
    begun = time.process_time()
    places = Whereabouts({**whole, **moved})
    pairs = [
        (Stretch(("a", n), 32_000 + at, 32_050 + at), Stretch(("b", n), at, 50 + at))
        for n in range(163)
        for at in range(0, 31_900, 57)
    ]
    proved = sum(places.proves_equal(*pair) for pair in pairs)

    assert 90_000 < len(pairs) == proved
    assert 10 > time.process_time() - begun
