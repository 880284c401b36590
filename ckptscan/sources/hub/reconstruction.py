"""Answers of Xet's reconstruction API -> terms of a file; asks nothing and believes nothing.

The protocol: https://huggingface.co/docs/xet/api and .../download-protocol. Of an answer only the
terms are used, and they are the same in its versions 1 and 2: no address in it is ever asked.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeGuard

from ckptscan.sources.terms import Segment, Term, Terms

HASH = re.compile(r"[0-9a-f]{64}")
# terms of one file; a client that uploads makes few: 5 GB are about 80 where nothing was known
MAX_TERMS = 100_000
_LARGEST = 1 << 48  # bytes of a term, and chunks of a xorb, that we believe


class Unsound(Exception):
    """An answer, or answers together, that can't be true; says why."""


class Answer(NamedTuple):
    """Terms that hold a range of a file, which begins `offset` bytes into the first of them."""

    start: int
    end: int
    offset: int
    terms: tuple[Term, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the terms from where the range begins; they may reach past its end."""
        return sum(term.length for term in self.terms) - self.offset


def answer_of(raw: bytes, start: int, end: int) -> Answer:
    """What was answered about a range of a file; raises Unsound."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise Unsound("the answer is no JSON") from None
    terms = document.get("terms") if isinstance(document, dict) else None
    offset = document.get("offset_into_first_range") if isinstance(document, dict) else None
    if not isinstance(terms, list) or not _is_count(offset):
        raise Unsound("the answer tells no terms")
    if len(terms) > MAX_TERMS:
        raise Unsound(f"the answer tells more than {MAX_TERMS:,} terms")
    names: dict[str, str] = {}  # one string for all terms of a xorb
    found = Answer(start, end, offset, tuple(_term(one, names) for one in terms))
    if found.offset and (not found.terms or found.offset >= found.terms[0].length):
        raise Unsound("the terms begin after what was asked for")
    return found


def terms_of(size: int, answers: Iterable[Answer]) -> Terms:
    """A file's terms, of answers about all of it in order; raises Unsound."""
    segments: list[Segment] = []
    borders: list[Term] = []
    for answer in answers:
        is_last = answer.end == size
        _check_sum(answer, is_last)
        if len(segments) + len(answer.terms) > MAX_TERMS:
            raise Unsound(f"there are more than {MAX_TERMS:,} terms")
        at = answer.start - answer.offset
        if answer.offset and segments:
            borders.extend(_border(segments[-1], answer.terms[0], at))
        for term in answer.terms:
            start, end = max(at, answer.start), min(at + term.length, answer.end)
            segments.append(Segment(start, end, term, start - at))
            at += term.length
    found = Terms(size, tuple(segments), tuple(borders))
    if not found.is_whole:
        raise Unsound(f"the terms are not those of {size:,} bytes")
    return found


def linked(terms: Terms, answers: Iterable[Answer]) -> Terms:
    """The terms with what answers about single bytes tell of borders between chunks."""
    starts = [segment.start for segment in terms.segments]
    found = dict.fromkeys(terms.borders)
    for answer in answers:
        if len(answer.terms) != 1 or not 0 <= answer.start < terms.size:
            continue
        segment = terms.segments[bisect_right(starts, answer.start) - 1]
        for border in _border(segment, answer.terms[0], answer.start - answer.offset):
            found |= {border: None, answer.terms[0]: None}
    return terms._replace(borders=tuple(found)[:MAX_TERMS])


def _check_sum(answer: Answer, is_last: bool) -> None:
    """Raises Unsound where the terms are not those that the range needs, each of them."""
    due = answer.end - answer.start
    spare = answer.nbytes - due
    last = answer.terms[-1].length if answer.terms else 1
    if spare < 0 or (is_last and spare) or spare >= last:
        raise Unsound(f"the terms have {answer.nbytes:,} bytes, the file has {due:,} there")


def _border(before: Segment, term: Term, at: int) -> Iterable[Term]:
    """What follows where a term began before its range did: it is a part of the term before."""
    whole = before.term
    distance = at - (before.start - before.skip)
    if whole.xorb == term.xorb and whole.first < term.first < whole.last and distance > 0:
        yield Term(term.xorb, whole.first, term.first, distance)


def _term(told: object, names: dict[str, str]) -> Term:
    """One term of an answer; raises Unsound."""
    chunks = told.get("range") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(chunks, dict):
        raise Unsound("a term is none")
    return _sound(
        told.get("hash"), chunks.get("start"), chunks.get("end"), told.get("unpacked_length"), names
    )


def _sound(xorb: object, first: object, last: object, length: object, names: Any) -> Term:
    """A term, if it is one; raises Unsound."""
    if not isinstance(xorb, str) or not HASH.fullmatch(xorb):
        raise Unsound("a term names no xorb")
    if not _is_count(first) or not _is_count(last) or not _is_count(length):
        raise Unsound("a term counts in what are no numbers")
    found = Term(names.setdefault(xorb, xorb), first, last, length)
    # each chunk has a byte at least
    if not found.first < found.last or found.length < found.last - found.first:
        raise Unsound("a term has no chunks, or fewer bytes than chunks")
    return found


def _is_count(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _LARGEST


def to_document(terms: Terms) -> bytes:
    """Terms as they are kept in the cache."""
    xorbs = {term.xorb: 0 for term in (*(one.term for one in terms.segments), *terms.borders)}
    number = {xorb: at for at, xorb in enumerate(xorbs)}

    def row(term: Term) -> list[int]:
        return [number[term.xorb], term.first, term.last, term.length]

    document = {
        "size": terms.size,
        "xorbs": list(xorbs),
        "segments": [[one.start, one.end, one.skip, *row(one.term)] for one in terms.segments],
        "borders": [row(term) for term in terms.borders],
    }
    return json.dumps(document, separators=(",", ":")).encode()


def from_document(raw: bytes, size: int) -> Terms | None:
    """What `to_document` made of a file of this size; None where it is anything else."""
    try:
        document: Mapping[str, Any] = json.loads(raw)
        names: dict[str, str] = {}

        def term(row: list[Any]) -> Term:
            return _sound(document["xorbs"][row[0]], row[1], row[2], row[3], names)

        found = Terms(
            size,
            tuple(
                Segment(int(start), int(end), term(row), int(skip))
                for start, end, skip, *row in document["segments"]
            ),
            tuple(map(term, document["borders"])),
        )
        is_of_it = document["size"] == size
    except (ValueError, RecursionError, LookupError, TypeError, OverflowError, Unsound):
        return None
    return found if is_of_it and found.is_whole else None
