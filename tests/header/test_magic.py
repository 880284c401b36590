"""Files that are something else are named by their first bytes."""

from __future__ import annotations

import pytest

from ckptscan.header import parse_header, wanted
from ckptscan.header.magic import what_is
from tests.conftest import ATTACKS


@pytest.mark.parametrize(
    ("name", "nature"),
    [
        ("lfs-pointer", "Git LFS pointer"),
        ("html", "HTML page"),
        ("json-error", "JSON text"),
        ("zip", "zip archive"),
        ("pickle", "Python pickle"),
        ("gguf", "GGUF"),
        ("gzip", "gzip"),
        ("npy", "NumPy"),
        ("hdf5", "HDF5"),
        ("zeros", "begin with zeros"),
    ],
)
def test_a_file_that_is_something_else_is_named(name: str, nature: str) -> None:
    data = (ATTACKS / f"{name}.safetensors").read_bytes()
    header = parse_header(data[: wanted(data[:8], len(data))], len(data))

    assert "not-safetensors" == header.faults[0].kind
    assert nature in header.faults[0].message
    assert header.faults[0].error is not None


@pytest.mark.parametrize(
    ("head", "nature"),
    [
        (b"\xef\xbb\xbf<!doctype html>", "an HTML page"),
        (b"\n  <HTML>", "an HTML page"),
        (b"<?xml version='1.0'?><Error>AccessDenied", "an XML document"),
        (b"Invalid username or password.", "plain text that begins 'Invalid username"),
        (b"\x28\xb5\x2f\xfd" + bytes(8), "Zstandard"),
        (b"[1, 2]", "JSON text"),
    ],
)
def test_first_bytes_tell(head: bytes, nature: str) -> None:
    assert nature in (what_is(head, len(head)) or "")


@pytest.mark.parametrize("head", [b"", b"short", b"\x01\x02\x03\x04\x05\x06\x07\x08", b"\xff" * 64])
def test_unknown_bytes_are_not_named(head: bytes) -> None:
    assert what_is(head, len(head)) is None
