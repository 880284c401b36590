"""Answers to ranges, held against what was asked: each kind of lie is noticed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import pytest

from ckptscan.header import wanted as enough
from ckptscan.sources.answers import PIECE, SLACK, Again, Refused, TooLong, Wanted, decoded, take
from tests.conftest import file_of

FILE = file_of({"a": ("BF16", [64, 64])})
SIZE = len(FILE)
HEAD = 8 + int.from_bytes(FILE[:8], "little")


class Response(NamedTuple):
    status_code: int
    headers: Mapping[str, str]


def taken(status: int, body: bytes, wanted: Wanted, **headers: str) -> bytes:
    """What is taken of an answer whose body comes in pieces of 7 bytes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    chunks = (body[at : at + 7] for at in range(0, len(body), 7))
    return take("http://h/x", Response(status, named), wanted, chunks).data


ASK = Wanted(0, 100, size=SIZE, enough=enough)


def part(text: str) -> dict[str, str]:
    return {"content_range": text}


@pytest.mark.parametrize(
    "headers",
    [
        part(f"bytes 0-99/{SIZE}"),
        part(f"  BYTES  0-99/{SIZE} ".replace("BYTES", "bytes")),
        part("bytes 0-99/*"),
        part("nonsense"),
        {},
    ],
)
def test_a_part_that_is_what_was_asked_for_is_taken(headers: dict[str, str]) -> None:
    assert FILE[:100] == taken(206, FILE[:100], ASK, **headers)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (FILE[:100], part(f"bytes 1-100/{SIZE}")),
        (FILE[:100], part(f"bytes 0-100/{SIZE}")),
        (FILE[:99], part(f"bytes 0-99/{SIZE}")),
        (FILE[:100], part(f"bytes 0-99/{SIZE + 1}")),
        (FILE[:100], part("bytes 0-99/50")),
        (FILE[:99], {}),
        (b"\r\n--boundary\r\n" + FILE[:86], {}),
        (FILE[:100], {"content_type": "multipart/byteranges; boundary=x"}),
    ],
)
def test_a_part_that_is_not_is_asked_for_again(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(Again):
        taken(206, body, ASK, **headers)


def test_fewer_bytes_than_asked_for_are_taken_where_they_say_so() -> None:
    assert FILE[:50] == taken(206, FILE[:50], ASK, **part(f"bytes 0-49/{SIZE}"))


def test_of_a_whole_file_the_header_is_taken_and_no_more() -> None:
    read = []

    def chunks() -> object:
        for at in range(0, SIZE, 16):
            read.append(at)
            yield FILE[at : at + 16]

    answer = Response(200, {"content-length": str(SIZE)})
    found = take("u", answer, Wanted(0, 8, size=SIZE, enough=enough), chunks())  # type: ignore[arg-type]

    assert FILE[:HEAD] == found.data
    assert max(read) <= HEAD


def test_a_range_deep_in_a_file_is_not_looked_for_in_the_whole() -> None:
    with pytest.raises(Refused, match="knows no ranges"):
        taken(200, FILE, Wanted(SLACK + 1, 5, size=1 << 30), content_length=str(1 << 30))
    assert FILE[100:105] == taken(200, FILE, Wanted(100, 5, size=SIZE), content_length=str(SIZE))


def test_a_whole_file_that_is_cut_short_is_asked_for_again() -> None:
    with pytest.raises(Again, match="are announced"):
        taken(200, FILE[:20], ASK, content_length=str(SIZE))
    with pytest.raises(Again, match="are listed, the file served has"):
        taken(200, FILE, ASK, content_length=str(SIZE + 1))


class Raw(NamedTuple):
    headers: Mapping[str, str]
    body: bytes

    def iter_raw(self) -> Iterator[bytes]:
        yield from (self.body[at : at + 100] for at in range(0, len(self.body), 100))


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "", "identity", "GZIP"])
def test_one_layer_of_compression_is_undone(encoding: str) -> None:
    packed = {"": FILE, "identity": FILE, "deflate": zlib.compress(FILE)}
    body = packed.get(encoding, gzip.compress(FILE))

    assert FILE == b"".join(decoded(Raw({"content-encoding": encoding}, body)))


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "gzip,deflate", "chunked"])
def test_other_compression_is_refused(encoding: str) -> None:
    with pytest.raises(Refused, match="not asked for"):
        list(decoded(Raw({"content-encoding": encoding}, b"")))


def test_nothing_is_nothing_whatever_it_is_packed_as() -> None:
    assert [] == [piece for piece in decoded(Raw({"content-encoding": "gzip"}, b"")) if piece]


def test_what_expands_comes_in_bounded_pieces() -> None:
    bomb = gzip.compress(bytes(20 << 20))

    assert PIECE >= max(map(len, decoded(Raw({"content-encoding": "gzip"}, bomb))))


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(FILE)[:-9]])
def test_damaged_compression_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(Again):
        list(decoded(Raw({"content-encoding": "gzip"}, body)))


def test_past_the_end_there_is_nothing() -> None:
    empty = Wanted(0, 8, size=0)

    assert b"" == taken(416, b"", empty, content_range="bytes */0")
    assert b"" == taken(416, b"", Wanted(SIZE, 8, size=SIZE), content_range=f"bytes */{SIZE}")
    for text in (f"bytes */{SIZE}", "bytes */*", "", "bytes 0-1/2"):
        with pytest.raises(Again):
            taken(416, b"", ASK, content_range=text)


def test_a_whole_must_have_the_size_that_is_listed() -> None:
    assert FILE == taken(200, FILE, Wanted(size=SIZE))
    assert FILE == taken(200, FILE, Wanted())
    with pytest.raises(Again, match="are listed"):
        taken(200, FILE[:-1], Wanted(size=SIZE))
    with pytest.raises(Again, match="answers 206"):
        taken(206, FILE, Wanted())
    with pytest.raises(TooLong, match="more than 5 bytes"):
        taken(200, FILE, Wanted(most=5))


def test_an_answer_about_a_range_is_taken_whole() -> None:
    about = Wanted(about=(5, 9))

    assert FILE == taken(200, FILE, about) == taken(206, FILE, about)
    with pytest.raises(Refused, match="no such range"):
        taken(416, b"", about)
