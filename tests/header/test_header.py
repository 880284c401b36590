"""Reading a header: how much is read, what comes back, which fault stands first."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.header import MAX_HEADER, Header, parse_header, wanted
from fixtures.make import attacks, entry
from tests.conftest import file_of, framed, header_text


def read(data: bytes, file_size: int | None = None) -> Header:
    """The header of a file, read as a source would read it."""
    size = len(data) if file_size is None else file_size
    return parse_header(data[: wanted(data[:8], size)], size)


def first_error(header: Header) -> str | None:
    return next((fault.error for fault in header.faults if fault.error), None)


def test_a_sound_file_gives_its_tensors_and_no_fault() -> None:
    header = read(file_of({"b": ("BF16", [2, 3]), "a": ("F32", [])}, {"format": "pt"}))

    assert ["b", "a"] == list(header.names)
    assert [0, 12] == list(header.starts)
    assert [12, 16] == list(header.ends)
    assert [
        ("BF16", (2, 3), 6, 12),
        ("F32", (), 1, 4),
    ] == [(header.kinds[code].dtype.name, *header.kinds[code][1:]) for code in header.codes]
    assert {"format": "pt"} == header.metadata
    assert () == header.faults
    assert header.is_valid
    assert header.is_complete
    assert 16 == header.data_size


@pytest.mark.parametrize(
    ("first", "file_size", "expected"),
    [
        (b"", 0, 0),
        (b"\x01" * 7, 7, 7),
        (struct.pack("<Q", 100), 108, 108),
        (struct.pack("<Q", 100), 5000, 108),
        (struct.pack("<Q", 100), 107, 107),
        (struct.pack("<Q", 2**64 - 1), 5000, 512),
        (struct.pack("<Q", MAX_HEADER), MAX_HEADER + 8, MAX_HEADER + 8),
        (struct.pack("<Q", MAX_HEADER + 1), 2 * MAX_HEADER, 512),
    ],
)
def test_never_more_than_8_and_n_bytes_are_wanted(
    first: bytes, file_size: int, expected: int
) -> None:
    assert expected == wanted(first, file_size)


def test_a_header_cut_short_by_the_reader_is_a_fault_not_a_crash() -> None:
    data = file_of({"a": ("U8", [4])})

    assert "InvalidHeaderLength" == first_error(parse_header(data[:20], len(data)))


def test_the_header_may_be_padded_with_spaces() -> None:
    """ "The header data MAY be trailing padded with whitespace (0x20)." """
    text = header_text({"a": ("U8", [4])})

    assert () == read(framed(text + " " * (64 - 8 - len(text)), b"abcd")).faults


def test_the_first_fault_is_the_reference_s_own_and_others_follow() -> None:
    """tensor.rs walks in offset order and stops; we go on."""
    text = (
        f'{{"late":{entry(offsets="[8,12]")},"early":{entry(shape="[2]", offsets="[0,4]")},'
        f'"odd":{entry("F4", "[3]", "[12,14]")}}}'
    )
    header = read(framed(text, bytes(20)))

    assert [
        ("size-mismatch", "TensorInvalidInfo", "early"),
        ("offset-gap", "InvalidOffset", "late"),
        ("sub-byte-remainder", "MisalignedSlice", "odd"),
        ("trailing-bytes", "MetadataIncompleteBuffer", None),
    ] == [(fault.kind, fault.error, fault.tensor) for fault in header.faults if fault.error]
    assert ["late", "early", "odd"] == list(header.names)
    assert header.is_complete


def test_what_stands_before_broken_json_is_kept() -> None:
    header = read(framed(f'{{"a":{entry()},"b":{entry()} !}}', bytes(8)))

    assert ["a", "b"] == list(header.names)
    assert "InvalidHeaderDeserialization" == first_error(header)
    assert not header.is_complete


def test_a_malformed_entry_costs_only_itself() -> None:
    header = read(framed(f'{{"a":{entry(shape="[true]")},"b":{entry()}}}', b"abcd"))

    assert ["b"] == list(header.names)
    assert "'a': shape holds a boolean" in header.faults[0].message
    assert not header.is_complete


def test_many_faults_of_a_kind_are_counted_not_listed() -> None:
    entries = ",".join(f'"{number}":{entry()}' for number in range(1000))
    header = read(framed(f"{{{entries}}}", b"abcd"))

    overlaps = [fault for fault in header.faults if fault.kind == "offset-overlap"]
    assert 11 == len(overlaps)
    assert 999 == sum(fault.times for fault in overlaps)
    assert "989 more like it" == overlaps[-1].message


def test_of_a_repeated_name_the_last_counts() -> None:
    text = f'{{"a":{entry("F64", "[9]", "[5,6]")},"a":{entry()}}}'
    header = read(framed(text, b"abcd"))

    assert header.is_valid
    assert [("a", 4)] == [
        (name, header.kinds[code].nbytes)
        for name, code in zip(header.names, header.codes, strict=True)
    ]
    assert "duplicate-name" in {fault.kind for fault in header.faults}


def test_a_shape_that_overflows_has_no_elements() -> None:
    header = read(framed(f'{{"a":{entry(shape="[9223372036854775808,2]", offsets="[0,0]")}}}'))

    assert "ValidationOverflow" == first_error(header)
    assert 0 == header.kinds[0].numel


def test_missing_and_trailing_bytes_are_counted() -> None:
    data = file_of({"a": ("F32", [1024])})
    short, long = read(data, len(data) - 100), read(data, len(data) + 7)

    assert "100 bytes are missing" in short.faults[0].message
    assert "7 bytes follow the last tensor" == long.faults[0].message


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_bytes_give_a_header(data: bytes, missing: int) -> None:
    """parse_header on any bytes returns a Header. Nothing else. Ever."""
    header = read(data, len(data) + missing)

    assert isinstance(header, Header)
    assert header.faults or header.names == ()


@given(st.text(alphabet='{}[]":,0123456789-eE.\\ un\ud800xdtypeshap_f', max_size=200))
def test_any_text_gives_a_header(text: str) -> None:
    assert isinstance(read(framed(text.encode("utf-8", "surrogatepass"), bytes(8))), Header)


@pytest.mark.parametrize(("name", "data"), attacks().items(), ids=attacks())
def test_a_hostile_file_gives_a_header_whose_messages_are_printable(name: str, data: bytes) -> None:
    header = read(data)

    assert header.faults
    assert all(fault.message.isprintable() for fault in header.faults)
    assert all(len(fault.message) < 400 for fault in header.faults)
    assert (name == "ok") <= header.is_valid


def test_a_shape_of_many_dimensions_is_cut_in_a_message() -> None:
    header = read(framed(f'{{"a":{entry(shape="[" + "2," * 99 + "2]")}}}', b"abcd"))

    assert "shape [2, 2, 2, 2, 2, 2, ... 100 dimensions] overflows" in header.faults[0].message
