"""What a server answers to a range, held against what was asked; nothing here sends anything."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

PIECE = 1 << 20  # bytes that are decompressed at once
ENDLESS = 1 << 62  # for the size of a file that nothing tells
SLACK = 1 << 20  # bytes before a range that are skipped, where a server knows no ranges

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)\s*", re.ASCII)


class Wanted(NamedTuple):
    """Which bytes of a file are asked for: a range, or with `length` None the whole.

    `most` bounds what is taken of a whole. `size` is the file's size in bytes where it is known.
    `enough` tells from the first 8 bytes, and the size, how many from the start will do: of a
    server that ignores the range so many are taken, and no more. `about` is the range of a file
    that a question is about, from a byte to before another: it goes with the question, whose
    answer is taken whole.
    """

    start: int = 0
    length: int | None = None
    most: int = 1 << 26
    size: int | None = None
    enough: Callable[[bytes, int], int] | None = None
    about: tuple[int, int] | None = None


class Piece(NamedTuple):
    """Bytes of a file from `start`, and the file's size; None where nothing tells it.

    `url` is where they were found, `headers` what was said with them.
    """

    data: bytes
    size: int | None
    url: str
    headers: Any


class Again(Exception):
    """What may pass: worth `tries` in all, after `wait` seconds where the server says so."""

    def __init__(
        self, reason: str, wait: float | None = None, hint: str = "", tries: int = 3
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.hint = hint
        self.tries = tries


class Refused(Exception):
    """An answer that no further try will change; status 0 for what we do not follow."""

    def __init__(
        self, status: int, message: str, code: str = "", url: str = "", body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.url = url
        self.body = body


class TooLong(Refused):
    """An answer of more bytes than are taken."""


def decoded(response: Any) -> Iterator[bytes]:
    """The body in pieces of bounded size, whatever it is compressed from; raises Again, Refused.

    One layer of gzip or deflate is undone. A library that undoes all that a server names takes all
    memory for 13 KB of gzip in gzip.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        yield from response.iter_raw()
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(0, "it compresses in a way that was not asked for")
    undo, is_empty = zlib.decompressobj(32 + zlib.MAX_WBITS), True
    try:
        for chunk in response.iter_raw():
            is_empty = is_empty and not chunk
            yield undo.decompress(chunk, PIECE)
            while undo.unconsumed_tail:
                yield undo.decompress(undo.unconsumed_tail, PIECE)
    except zlib.error as error:
        raise Again("the answer's compression is damaged") from error
    if not undo.eof and not is_empty:
        raise Again("the answer breaks off")


def take(url: str, response: Any, wanted: Wanted, chunks: Iterator[bytes]) -> Piece:
    """The bytes of a 200, 206 or 416 answer; raises Again where it is not what was asked for."""
    if wanted.length is None:
        return _whole(url, response, wanted, chunks)
    if response.status_code == 206:
        return _part(url, response, wanted, wanted.length, chunks)
    if response.status_code == 416:
        return _beyond(url, response, wanted)
    return _cut(url, response, wanted, wanted.length, chunks)


def _whole(url: str, response: Any, wanted: Wanted, chunks: Iterator[bytes]) -> Piece:
    if wanted.about and response.status_code == 416:
        raise Refused(416, "it knows no such range", url=url)
    if response.status_code != 200 and not (wanted.about and response.status_code == 206):
        raise Again(f"it answers {response.status_code} to a plain request")
    data = _up_to(chunks, wanted.most + 1)
    if len(data) > wanted.most:
        raise TooLong(0, f"more than {wanted.most:,} bytes come", url=url)
    if wanted.size is not None and len(data) != wanted.size:
        raise Again(f"{len(data):,} bytes come, {wanted.size:,} are listed")
    return Piece(data, len(data), url, response.headers)


def _part(url: str, response: Any, wanted: Wanted, length: int, chunks: Iterator[bytes]) -> Piece:
    """A 206: its Content-Range must be what was asked for, its body as long as that says."""
    stated = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    data = _up_to(chunks, length)
    if not stated or stated[1] is None:
        due = length if wanted.size is None else min(length, max(0, wanted.size - wanted.start))
        if wanted.size is None or len(data) != due or not _may_be(data, wanted, response):
            raise Again("it does not say which range it sends")
        return Piece(data, wanted.size, url, response.headers)
    first, last = int(stated[1]), int(stated[2])
    size = int(stated[3]) if stated[3] != "*" else wanted.size
    if first != wanted.start or last >= first + length or (size is not None and last >= size):
        raise Again("it sends another range than was asked for")
    if len(data) != last + 1 - first:
        raise Again(f"{last + 1 - first:,} bytes are announced, {len(data):,} come")
    _check_size(size, wanted)
    return Piece(data, size, url, response.headers)


def _may_be(data: bytes, wanted: Wanted, response: Any) -> bool:
    """Whether bytes that nothing is said of may be the range that was asked for."""
    if "multipart/" in response.headers.get("content-type", "").lower():
        return False
    if wanted.start or wanted.enough is None or wanted.size is None or len(data) < 8:
        return True
    return int.from_bytes(data[:8], "little") <= wanted.size - 8


def _cut(url: str, response: Any, wanted: Wanted, length: int, chunks: Iterator[bytes]) -> Piece:
    """A 200: the server ignores ranges; so much is taken as will do, then the connection closed."""
    headers = response.headers
    text = headers.get("content-length", "")
    is_plain = headers.get("content-encoding", "identity") in ("", "identity")
    size = int(text) if is_plain and text.isascii() and text.isdigit() else wanted.size
    _check_size(size, wanted)
    if wanted.start > SLACK:
        raise Refused(0, "the server knows no ranges, and the bytes lie deep in the file", url=url)
    end, data = wanted.start + length, bytearray()
    for chunk in chunks:
        data += chunk
        if wanted.enough and len(data) >= 8:
            end = wanted.enough(bytes(data[:8]), size if size is not None else ENDLESS)
        if len(data) >= end:
            break
    if len(data) < (end if size is None else min(end, size)) and size is not None:
        raise Again(f"{size:,} bytes are announced, {len(data):,} come")
    if size is None and len(data) < end:
        size = len(data)  # a chunked answer that ended: its end is the file's
    return Piece(bytes(data[wanted.start : end]), size, url, headers)


def _beyond(url: str, response: Any, wanted: Wanted) -> Piece:
    """A 416: right for an empty file, and for a range that begins at the end."""
    stated = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    size = int(stated[3]) if stated and stated[3] != "*" else wanted.size
    if size is None or wanted.start < size:
        raise Again("it says that the range lies past the end (416)")
    _check_size(size, wanted)
    return Piece(b"", size, url, response.headers)


def _check_size(size: int | None, wanted: Wanted) -> None:
    if size is not None and wanted.size is not None and size != wanted.size:
        raise Again(
            f"{wanted.size:,} bytes are listed, the file served has {size:,}",
            hint="the server's copy is not the listed file; look at another mirror, or later",
        )


def _up_to(chunks: Iterator[bytes], most: int) -> bytes:
    """The first bytes of an answer; reads to its end where that is not more."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > most:
            break
    return bytes(memoryview(found)[:most])
