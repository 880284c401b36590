"""The source in memory, which also proves what was read."""

from __future__ import annotations

import pytest

from ckptscan.errors import SourceUnreadable
from ckptscan.sources.base import FileEntry, read_head, read_small
from ckptscan.sources.memory import MemorySource
from tests.conftest import file_of


def test_ranges_are_recorded() -> None:
    source = MemorySource({"a": b"0123456789"})

    assert b"345" == source.read("a", 3, 3)
    assert b"9" == source.read("a", 9, 5)
    assert [("a", 3, 3), ("a", 9, 5)] == source.ranges
    assert b"" == source.read("absent", 0, 1)


def test_bytes_that_are_not_held_are_an_error() -> None:
    source = MemorySource({"a": b"0123"}, [FileEntry("a", 100)])

    assert b"0123" == source.read("a", 0, 4)
    with pytest.raises(SourceUnreadable, match="5 bytes are asked for, 4 are held"):
        source.read("a", 0, 5)


def test_a_head_is_two_reads() -> None:
    data = file_of({"a": ("U8", [100])})
    source = MemorySource({"a": data})

    assert data[:-100] == read_head(source, FileEntry("a", len(data)))
    assert [("a", 0, 8), ("a", 8, len(data) - 108)] == source.ranges


def test_a_file_with_a_problem_is_not_read() -> None:
    source = MemorySource({"a": b""})

    with pytest.raises(SourceUnreadable, match="a: is a FIFO"):
        read_head(source, FileEntry("a", 0, None, "is a FIFO"))
    assert read_small(source, FileEntry("a", 10), 9) is None
    assert [] == source.ranges
