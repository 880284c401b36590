"""Bytes -> Header: the safetensors format and nothing else.

Pure functions over bytes; collects faults instead of stopping at the first. `wanted` says how much
of a file to read, `parse_header` reads it. A header as writers lay it out is proved sound column
by column (`regular`); any doubt goes to the exact reader (`exact`), which decides entry by entry
as the reference library does.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from json import dumps

from ckptscan.dtypes import dtype
from ckptscan.header.exact import Document, read_document
from ckptscan.header.layout import check_end, check_layout, numel
from ckptscan.header.magic import SNIFFED, what_is
from ckptscan.header.regular import read_regular
from ckptscan.header.remarks import odd_metadata, odd_names, repeated_names, unaligned
from ckptscan.header.values import (
    Entry,
    Fault,
    FaultList,
    Header,
    Kind,
    fault,
    quoted,
)

__all__ = ["LENGTH", "MAX_HEADER", "Fault", "Header", "Kind", "parse_header", "quoted", "wanted"]

LENGTH = 8  # bytes of the little-endian length that a file begins with; tensor.rs, N_LEN
MAX_HEADER = 100_000_000  # safetensors tensor.rs, MAX_HEADER_SIZE


def wanted(first: bytes, file_size: int) -> int:
    """How many bytes from the start of a file hold its header, given its first 8 bytes.

    8 + N where the stated length N is within the file and the format's limit; else as much as
    tells what the file is instead. Never more than the file or 8 + 100,000,000.
    """
    size = int.from_bytes(first[:LENGTH], "little")
    if len(first) < LENGTH or size > MAX_HEADER or LENGTH + size > file_size:
        return min(file_size, SNIFFED)
    return LENGTH + size


def parse_header(head: bytes, file_size: int) -> Header:
    """The header of a file of `file_size` bytes that begins with `head` (see `wanted`).

    Never raises: whatever the bytes are, a Header comes back, with its faults. The reference's
    own verdict is that of the first fault that has an `error`.
    """
    stated = int.from_bytes(head[:LENGTH], "little") if len(head) >= LENGTH else 0
    problem = _length_fault(head, file_size, stated)
    if problem:
        return Header(stated, faults=_with_nature(problem, head, file_size), is_complete=False)
    raw = head[LENGTH : LENGTH + stated]
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the header is not UTF-8: {error.reason} at its byte {error.start:,}"
        problem = fault("header-not-utf8", message, "InvalidHeader")
        return Header(stated, faults=_with_nature(problem, head, file_size), is_complete=False)
    regular = read_regular(text, stated, file_size)
    return _placed(regular or _from_document(read_document(text), stated, head, file_size), raw)


def _placed(header: Header, raw: bytes) -> Header:
    """The header, its faults about one tensor with the byte at which that tensor's entry begins."""
    if not any(found.tensor and found.byte is None for found in header.faults):
        return header
    return replace(header, faults=tuple(_found(fault, raw) for fault in header.faults))


def _found(fault: Fault, raw: bytes) -> Fault:
    if not fault.tensor or fault.byte is not None:
        return fault
    for written in (dumps(fault.tensor, ensure_ascii=False), dumps(fault.tensor)):
        # the last of several counts, and is the one that repeats the others
        at = raw.rfind(written.encode("utf-8", "surrogatepass"))
        if at >= 0:
            return fault._replace(byte=LENGTH + at)
    return fault


def _length_fault(head: bytes, file_size: int, stated: int) -> Fault | None:
    if file_size < LENGTH:
        message = f"the file has {file_size:,} bytes, fewer than the {LENGTH} that state a length"
        return fault("file-too-small", message, "HeaderTooSmall")
    if stated > MAX_HEADER:
        message = f"the header says {stated:,} bytes, more than the format's {MAX_HEADER:,}"
        return fault("header-too-large", message, "HeaderTooLarge")
    if LENGTH + stated > file_size or len(head) < LENGTH + stated:
        present = min(file_size, len(head) if LENGTH + stated <= file_size else file_size)
        message = f"the header says {stated:,} bytes, {present - LENGTH:,} follow its length"
        return fault("header-past-end", message, "InvalidHeaderLength")
    return None


def _with_nature(problem: Fault, head: bytes, file_size: int) -> tuple[Fault, ...]:
    """The fault, and what the file is instead where its first bytes tell."""
    nature = what_is(head[:SNIFFED], file_size)
    if nature is None:
        return (problem,)
    message = f"no safetensors file but {nature}: {problem.message}"
    return (problem._replace(kind="not-safetensors", message=message),)


def _from_document(document: Document, size: int, head: bytes, file_size: int) -> Header:
    """What the exact reader found, checked as a whole."""
    faults = document.faults
    if not document.entries and not document.is_complete:
        problem, *others = faults.listed()
        found = (*_with_nature(problem, head, file_size), *others)
        return Header(size, document.metadata, faults=found, is_complete=False)
    entries = _last_of_each_name(document.entries, faults)
    end = check_layout(entries, document.is_complete, size, faults)
    if document.is_complete or LENGTH + size + end > file_size:
        check_end(end, size, file_size, faults)
    odd_metadata(document.metadata, faults)
    odd_names([entry.name for entry in entries], faults)
    kinds, codes = _kinds(entries)
    starts = array("Q", [entry.start for entry in entries])
    unaligned(size, kinds, codes, starts, faults)
    return Header(
        size,
        document.metadata,
        [entry.name for entry in entries],
        codes,
        kinds,
        starts,
        array("Q", [entry.end for entry in entries]),
        sum(max(0, entry.end - entry.start) for entry in entries),
        tuple(sorted(faults.listed(), key=lambda found: found.error is None)),
        document.is_complete,
    )


def _last_of_each_name(entries: list[Entry], faults: FaultList) -> list[Entry]:
    """Entries as the reference keeps them: of a repeated name the last one counts."""
    last = {entry.name: entry for entry in entries}
    if len(last) < len(entries):
        repeated_names([entry.name for entry in entries], faults)
    return list(last.values())


def _kinds(entries: list[Entry]) -> tuple[tuple[Kind, ...], array[int]]:
    """The distinct kinds of these entries, and the number of its kind for each."""
    found: dict[Kind, int] = {}
    codes = array("I")
    for entry in entries:
        nbytes = max(0, entry.end - entry.start)
        kind = Kind(dtype(entry.dtype), entry.shape, numel(entry.shape) or 0, nbytes)
        codes.append(found.setdefault(kind, len(found)))
    return tuple(found), codes
