"""Bytes of files over HTTP: ranges as RFC 9110 has them, and the faults that spoil them."""

from __future__ import annotations

import dataclasses
import gzip
import re
from collections.abc import Mapping

from tests.standin.content import Blob
from tests.standin.faults import Faults
from tests.standin.wire import ONE_WRITE, Reply, Request

RANGE = re.compile(r"bytes=(\d*)-(\d*)")  # bytes=0-131071


def span_of(header: str | None, size: int) -> tuple[int, int] | None:
    """Start and end of the range; None for the whole file; raises ValueError where none is in it."""
    match = RANGE.fullmatch(header or "")
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < int(first):
            return None
    if start >= size:
        raise ValueError(header)
    return start, end


def file_reply(request: Request, blob: Blob, headers: Mapping[str, str], faults: Faults) -> Reply:
    """The answer of a file's bytes to a request."""
    where = request.file, request.stage
    if switch := faults.hit("other_size", *where):
        blob = dataclasses.replace(blob, size=max(0, blob.size + (switch.value or 1)))
    kept = {"Content-Type": "binary/octet-stream", "Accept-Ranges": "bytes", **headers}
    if faults.hit("no_etag", *where):
        kept.pop("ETag", None)
    asked = request.range
    if asked and faults.hit("ignore_range", *where):
        asked = None
    if (zipped := faults.hit("gzip", *where)) and zipped.value == "file":
        blob = _real(gzip.compress(blob.read(0, blob.size), 1, mtime=0))
        kept["Content-Encoding"] = "gzip"
    try:
        span = span_of(asked, blob.size)
    except ValueError:
        kept["Content-Range"] = f"bytes */{blob.size}"
        return Reply(416, kept, b"The requested range cannot be satisfied.")
    if span and (switch := faults.hit("lying_length", *where)):
        length = span[1] - span[0]
        span = span[0], span[1] - min(length - 1, switch.value or length // 2)
    reply = _sent(blob, span, kept)
    if zipped and zipped.value != "file":
        body = gzip.compress(blob.read(*(span or (0, blob.size))), 1, mtime=0)
        reply = Reply(reply.status, {**kept, "Content-Encoding": "gzip"}, body)
    if span and (switch := faults.hit("wrong_content_range", *where)):
        _misplace(reply, str(switch.value or "start"), span, blob.size)
    return reply if request.method == "HEAD" else _cut(reply, where, faults)


def _real(data: bytes) -> Blob:
    return Blob(data, len(data))


def _sent(blob: Blob, span: tuple[int, int] | None, headers: dict[str, str]) -> Reply:
    start, end = span or (0, blob.size)
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{blob.size}"
    status = 206 if span else 200
    if end - start <= ONE_WRITE:
        return Reply(status, headers, blob.read(start, end))
    return Reply(status, headers, pieces=blob.pieces(start, end), length=end - start)


def _misplace(reply: Reply, way: str, span: tuple[int, int], size: int) -> None:
    start, last = span[0], span[1] - 1
    if way == "missing":
        del reply.headers["Content-Range"]
        return
    reply.headers["Content-Range"] = {
        "start": f"bytes {start + 1}-{last + 1}/{size}",
        "total": f"bytes {start}-{last}/{size + 1}",
        "unknown": f"bytes {start}-{last}/*",
        "garbage": "octets of some kind",
    }[way]


def _cut(reply: Reply, where: tuple[str, str], faults: Faults) -> Reply:
    """The reply with its body cut, stopped or slowed."""
    length = len(reply.body) if reply.length is None else reply.length
    if switch := faults.hit("short_body", *where):
        reply.cut, reply.ending = _less(switch.value, length), "close"
    elif switch := faults.hit("reset", *where):
        reply.cut, reply.ending = _less(switch.value, length), "reset"
    elif switch := faults.hit("stall", *where):
        reply.cut, reply.ending = (1 if switch.value is None else switch.value), "stall"
    elif switch := faults.hit("drip", *where):
        reply.interval = switch.value or 0.2
    return reply


def _less(value: int | None, length: int) -> int:
    return length // 2 if value is None else min(value, length)
