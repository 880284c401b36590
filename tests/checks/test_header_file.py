"""H001-H005."""

from __future__ import annotations

import struct

import pytest

from tests.checks.making import ONE, entry, findings_of, raw
from tests.conftest import file_of

SOUND = file_of(ONE, {"format": "pt"})
W = entry("F32", [2], 0, 8)

# code, a file, how many findings
CASES = [
    pytest.param("H001", SOUND, 0, id="H001-sound"),
    pytest.param("H001", raw({"version https://git-lfs": W}, 8), 0, id="H001-only-a-name"),
    pytest.param("H001", b"version https://git-lfs.github.com/spec/v1\noid", 1, id="H001-lfs"),
    pytest.param("H001", b"<!DOCTYPE html><html></html>", 1, id="H001-html"),
    pytest.param("H002", SOUND, 0, id="H002-sound"),
    pytest.param("H002", SOUND + b"\0", 0, id="H002-longer"),
    pytest.param("H002", SOUND[:-1], 1, id="H002-one-byte-short"),
    pytest.param("H002", b"1234567", 1, id="H002-seven-bytes"),
    pytest.param("H003", SOUND, 0, id="H003-sound"),
    pytest.param("H003", SOUND[:-1], 0, id="H003-shorter"),
    pytest.param("H003", SOUND + b"\0", 1, id="H003-one-byte-more"),
    pytest.param("H004", SOUND, 0, id="H004-sound"),
    pytest.param("H004", raw({"w": W}, 8), 0, id="H004-header-to-the-end"),
    pytest.param("H004", struct.pack("<Q", 100_000_001) + b"{}", 1, id="H004-over-the-limit"),
    pytest.param("H004", struct.pack("<Q", 2**63) + b'{"a":1}', 1, id="H004-huge"),
    pytest.param("H004", struct.pack("<Q", 9) + b"{      }", 1, id="H004-past-the-end"),
    pytest.param("H004", struct.pack("<Q", 0) + SOUND[8:], 1, id="H004-zero"),
    pytest.param("H005", SOUND, 0, id="H005-sound"),
    pytest.param("H005", raw({"w": W}, 8), 0, id="H005-padded-with-spaces"),
    pytest.param("H005", raw({"w": W}, 8, "\n"), 1, id="H005-padded-with-breaks"),
    pytest.param("H005", raw('{"w":'), 1, id="H005-broken"),
    pytest.param("H005", raw(" {}"), 1, id="H005-leading-space"),
    pytest.param("H005", struct.pack("<Q", 4) + b'{"\xff}', 1, id="H005-not-utf8"),
]


@pytest.mark.parametrize(("code", "file", "count"), CASES)
def test_what_is_found(code: str, file: bytes, count: int) -> None:
    found = findings_of({"model.safetensors": file}, code)

    assert count == len(found)


def test_a_file_cut_short_tells_the_byte_at_which_it_ends() -> None:
    (found,) = findings_of({"model.safetensors": SOUND[:-3]}, "H002")

    assert found.message.startswith("3 bytes are missing")
    assert len(SOUND) - 3 == found.where[0].byte


def test_bytes_that_follow_tell_where_they_begin() -> None:
    (found,) = findings_of({"model.safetensors": SOUND + bytes(5)}, "H003")

    assert len(SOUND) == found.where[0].byte


def test_files_with_one_fault_are_one_finding() -> None:
    files = {f"model-{n:05}-of-00003.safetensors": b"<html>" * 9 for n in (1, 2, 3)}
    (found,) = findings_of(files, "H001")

    assert 3 == len(found.where)
    assert "2 more like it in 3 files" in found.message


def test_what_the_reference_tolerates_is_a_warning() -> None:
    (found,) = findings_of({"model.safetensors": raw(" {}")}, "H005")

    assert "warning" == found.severity
