"""The fast reader: a header whose entries are all written alike, proved sound by columns.

Writers lay out every entry the same way: `"name":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`.
Cut where entries meet, each is a name, one of a few texts that give dtype and shape, and two
offsets, which the sizes of the tensors before foretell to the letter. Proving that takes a third of
the time of decoding JSON entry by entry (tests/bench/README.md). White space and the order of
dtype and shape are learnt, not presumed. Whatever is not proved sound here is left to the exact
reader: None comes back, never a wrong answer.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from types import MappingProxyType

from ckptscan.dtypes import DTYPES
from ckptscan.header.exact import METADATA, read_document
from ckptscan.header.json import MAX_INT, SPACE
from ckptscan.header.layout import numel
from ckptscan.header.remarks import ALIGNMENT, are_plain, odd_metadata, odd_names, unaligned
from ckptscan.header.values import Fault, FaultList, Header, Kind

_CACHED = 1 << 12  # characters of the longest text that is remembered between headers
CHUNK = 1 << 20  # characters cut up at once: bounds the memory that the pieces take

_WS = f"[{SPACE}]*"
_COLON, _COMMA = f"{_WS}:{_WS}", f"{_WS},{_WS}"
_DTYPE = f'"dtype"{_COLON}"([^"]*)"'
_SHAPE = f'"shape"{_COLON}\\[([^]]*)]'
# :{"dtype":"F32","shape":[2],"data_offsets"   with dtype and shape in either order
_KIND = (
    f"{_COLON}{{{_WS}(?:{_DTYPE}{_COMMA}{_SHAPE}|{_SHAPE}{_COMMA}{_DTYPE})"
    f'{_COMMA}"data_offsets"{_WS}'
)
# [0,24] -> what stands before, between and after the numbers
_OFFSETS = f"({_WS}\\[{_WS})[0-9]+({_COMMA})[0-9]+({_WS}])"
_IS_KIND = re.compile(_KIND)
_FIRST_ENTRY = re.compile(f'"[^"]*"{_KIND}:{_OFFSETS}(?:({_WS}}}{_COMMA})")?')
_IS_END = re.compile(f"{_WS}}}{_WS}}} *")
_IS_METADATA = re.compile(f'{{{_WS}"{METADATA}"{_COLON}(?={{)')
_IS_OPENING = re.compile(f'{{{_WS}(?=")')
_AFTER_METADATA = re.compile(f'{_COMMA}(?=")')
_NEXT_DIM = re.compile(_COMMA)
_CONTROL = re.compile("[\x00-\x1f]")  # raw, these are no JSON


class _Irregular(Exception):
    """The header is not proved sound here."""


def _require(claim: bool) -> None:
    if not claim:
        raise _Irregular


class _Kinds(dict[str, int]):
    """The text that gives dtype and shape -> the code of its kind, in the order of first use."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[Kind, int] = {}
        self.sizes: list[int] = []

    def __missing__(self, written: str) -> int:
        kind = _kind(written) if len(written) <= _CACHED else _kind.__wrapped__(written)
        if kind not in self.codes:
            self.codes[kind] = len(self.codes)
            self.sizes.append(kind.nbytes)
        self[written] = code = self.codes[kind]
        return code


def read_regular(text: str, size: int, file_size: int) -> Header | None:
    """The header whose text this is, if it is regular and the reference accepts the file."""
    try:
        return _read(text, size, file_size)
    except (_Irregular, ValueError, OverflowError):
        # ValueError and OverflowError: int() and array refuse absurd numbers
        return None


def _read(text: str, size: int, file_size: int) -> Header:
    (metadata, remarks), position = _metadata(text)
    _require(text.find("\\", position) < 0)
    first = _FIRST_ENTRY.match(text, position)
    end = text.rfind("]") + 1
    if first is None or not _IS_END.fullmatch(text, end):
        raise _Irregular
    names: list[str] = []
    kinds, codes, ends = _Kinds(), array("I"), array("Q", [0])
    close = first[8] or "},"
    for entries in _runs(text, position + 1, end, f'{close}"'):
        names += _take(entries, first.group(5, 6, 7), kinds, codes, ends)
    _require(ends[-1] == file_size - 8 - size)
    faults, starts = FaultList(), ends[:-1]
    _check_names(names, faults)
    are_multiples = all(size % ALIGNMENT == 0 for size in kinds.sizes)
    found = tuple(kinds.codes)
    unaligned(size, found, codes, None if are_multiples else starts, faults)
    listed = remarks + faults.listed()
    return Header(size, metadata, names, codes, found, starts, ends[1:], ends[-1], listed)


def _take(
    entries: list[str],
    offsets_written: Sequence[str],
    kinds: _Kinds,
    codes: array[int],
    ends: array[int],
) -> list[str]:
    """Add a run of entries to the columns, every letter of them accounted for; gives the names.

    `offsets_written` is what stands before, between and after two offsets.
    """
    heads = [entry.partition('"') for entry in entries]
    tails = [head[2].rpartition(":") for head in heads]
    mine = [kinds[tail[0]] for tail in tails]
    reached = list(accumulate(map(kinds.sizes.__getitem__, mine), initial=ends[-1]))
    # joined by a quotation mark, which then stands between offsets and nowhere in them
    offsets = '"'.join([tail[2] for tail in tails])
    _require(offsets == _foretold(reached, *offsets_written))
    codes.extend(mine)
    ends.extend(reached[1:])
    return [head[0] for head in heads]


def _metadata(text: str) -> tuple[tuple[Mapping[str, str], tuple[Fault, ...]], int]:
    """The metadata where it stands first, its faults, and where the first tensor's name begins."""
    opening = _IS_METADATA.match(text)
    if opening is None:
        first = _IS_OPENING.match(text)
        _require(first is not None)
        return ({}, ()), first.end() if first else 0
    end = text.find("}", opening.end()) + 1
    after = _AFTER_METADATA.match(text, end)
    _require(after is not None)
    parse = _parsed_metadata if end <= _CACHED else _parsed_metadata.__wrapped__
    return parse(text[:end]), after.end() if after else 0


@lru_cache(maxsize=64)
def _parsed_metadata(opening: str) -> tuple[Mapping[str, str], tuple[Fault, ...]]:
    """The metadata of a header that begins so; the shards of a model share theirs."""
    document = read_document(opening + "}")
    _require(document.is_complete and not document.faults.has_errors)
    odd_metadata(document.metadata, document.faults)
    return MappingProxyType(document.metadata), document.faults.listed()


def _runs(text: str, start: int, end: int, meeting: str) -> Iterator[list[str]]:
    """The entries from the first letter of their names to the last bracket, in runs.

    `meeting` is the text where two entries meet, up to the opening quotation mark of a name.
    """
    while (cut := text.find(meeting, start + CHUNK, end)) >= 0:
        yield text[start:cut].split(meeting)
        start = cut + len(meeting)
    yield text[start:end].split(meeting)


def _foretold(reached: list[int], before: str, between: str, after: str) -> str:
    """The offsets of tensors that lie end to end, as they must be written."""
    written = list(map(str, reached))
    pieces = ["", between, "", f'{after}"{before}'] * (len(written) - 1)
    pieces[0::4], pieces[2::4] = written[:-1], written[1:]
    pieces[-1] = after
    return before + "".join(pieces)


@lru_cache(maxsize=256)
def _kind(written: str) -> Kind:
    """The kind that `:{"dtype":"F32","shape":[2],"data_offsets"` gives; shards share most."""
    match = _IS_KIND.fullmatch(written)
    if match is None:
        raise _Irregular
    name, dims = match[1] or match[4], (match[2] or match[3] or "").strip(SPACE)
    dims = _NEXT_DIM.sub(",", dims)
    shape = tuple(map(int, dims.split(","))) if dims else ()
    count = numel(shape)
    _require(dims == ",".join(map(str, shape)) and name in DTYPES)
    _require(count is not None and all(0 <= dim <= MAX_INT for dim in shape))
    bits = (count or 0) * (DTYPES[name].bits or 0)
    _require(bits <= MAX_INT and bits % 8 == 0)
    return Kind(DTYPES[name], shape, count or 0, bits // 8)


def _check_names(names: list[str], faults: FaultList) -> None:
    """Names are unique and such as JSON may hold; odd ones are remarked."""
    distinct = set(names)
    _require(len(distinct) == len(names) and METADATA not in distinct)
    if not are_plain(names):
        _require(not any(map(_CONTROL.search, names)))
        odd_names(names, faults)
