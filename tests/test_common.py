"""Two readings that have files in common."""

from __future__ import annotations

import pytest

from ckptscan.checkpoint.common import Following, Leading
from ckptscan.header import Header
from ckptscan.sources import FileEntry

FILE = FileEntry("a.safetensors", 8, "0" * 64)
MADE = Header(0)


def test_what_the_leading_reading_made_is_taken_also_of_a_file_of_another_name() -> None:
    leading = Leading([FILE])
    leading.note(FILE, MADE)

    assert MADE is Following(leading).find(FILE._replace(path="b.safetensors"), Header)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(FILE._replace(digest="1" * 64), id="other-content"),
        pytest.param(FILE._replace(digest=None), id="nothing-tells"),
        pytest.param(FILE._replace(problem="is a FIFO"), id="unreadable"),
        pytest.param(FILE._replace(size=9), id="other-size"),
    ],
)
def test_other_files_are_read_by_each(other: FileEntry) -> None:
    following = Following(Leading([FILE]))

    assert not following.has(other)
    assert following.find(other, Header) is None


def test_nobody_waits_for_a_reading_that_is_over() -> None:
    leading = Leading([FILE])
    leading.over()

    assert Following(leading).has(FILE)
    assert Following(leading).find(FILE, Header) is None


def test_files_that_begin_alike_have_one_header() -> None:
    leading, head = Leading([]), (2).to_bytes(8, "little") + b"{}"

    assert leading.parsed(head, 10) is Following(leading).parsed(head, 10)
