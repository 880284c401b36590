"""The fast reader: what it accepts the exact reader reads the same; all else it leaves alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ckptscan.header as header_module
from ckptscan.header import Header, parse_header
from ckptscan.header.exact import read_document
from ckptscan.header.regular import CHUNK, read_regular
from fixtures.make import entry
from tests.conftest import file_of, framed, header_text

TENSORS = {
    "model.embed.weight": ("BF16", [32, 8]),
    "model.layers.0.w": ("F32", [8, 8]),
    "model.layers.1.w": ("F32", [8, 8]),
    "scalar": ("F16", []),
}
SIZE = 32 * 8 * 2 + 2 * 8 * 8 * 4 + 2


def fast(text: str, data_size: int = SIZE) -> Header | None:
    return read_regular(text, len(text.encode()), 8 + len(text.encode()) + data_size)


def exact(text: str, data_size: int = SIZE) -> Header:
    raw = text.encode()
    file_size = 8 + len(raw) + data_size
    return header_module._from_document(read_document(text), len(raw), framed(text), file_size)


@pytest.mark.parametrize(
    "text",
    [
        header_text(TENSORS),
        header_text(TENSORS) + " " * 7,
        header_text(TENSORS, {"format": "pt"}),
        header_text(TENSORS, {}),
        json.dumps(json.loads(header_text(TENSORS, {"format": "pt"}))),
        json.dumps(json.loads(header_text(TENSORS)), indent=4),
        header_text(TENSORS).replace('"dtype":"F32","shape":[8,8]', '"shape":[8,8],"dtype":"F32"'),
        header_text(TENSORS, {"a": 'quote " and brace }'}),
        header_text(TENSORS).replace("model", "tf/modèle"),
    ],
    ids=["plain", "padded", "metadata", "empty", "spaced", "indented", "order", "odd", "names"],
)
def test_both_readers_agree_on_sound_headers(text: str) -> None:
    found = fast(text)

    if found is not None:
        assert exact(text) == found
    assert exact(text).is_valid


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" , ", " : ")])
def test_headers_as_writers_lay_them_out_are_regular(separators: tuple[str, str]) -> None:
    document = json.loads(header_text(TENSORS, {"format": "pt"}))

    assert fast(json.dumps(document, separators=separators)) is not None


def test_one_tensor_is_regular() -> None:
    assert fast(header_text({"a": ("U8", [4])}), 4) is not None


def test_a_header_longer_than_a_chunk_is_cut_where_entries_meet() -> None:
    tensors = {f"layers.{number}.weight": ("U8", [2]) for number in range(40_000)}
    text = header_text(tensors)
    found = fast(text, 80_000)

    assert len(text) > 2 * CHUNK
    assert found is not None
    assert list(tensors) == list(found.names)
    assert list(range(0, 80_000, 2)) == list(found.starts)


IRREGULAR = {
    "empty": "{}",
    "no tensors": '{"__metadata__":{"a":"b"}}',
    "leading space": " " + header_text(TENSORS),
    "newline padding": header_text(TENSORS) + "\n",
    "metadata last": header_text(TENSORS)[:-1] + ',"__metadata__":{}}',
    "metadata null": '{"__metadata__":null,' + header_text(TENSORS)[1:],
    "escaped name": header_text(TENSORS).replace("scalar", "sc\\u0061lar"),
    "raw control": header_text(TENSORS).replace("scalar", "sca\nlar"),
    "repeated name": header_text(TENSORS).replace("layers.1", "layers.0"),
    "metadata as name": header_text(TENSORS).replace("scalar", "__metadata__"),
    "unknown dtype": header_text(TENSORS).replace("F32", "F31"),
    "gap": header_text(TENSORS).replace("[512,768]", "[513,768]"),
    "leading zero": header_text(TENSORS).replace("[0,512]", "[00,512]"),
    "negative": header_text(TENSORS).replace("[8,8]", "[-8,-8]"),
    "float": header_text(TENSORS).replace("[8,8]", "[8.0,8]"),
    "long digits": header_text(TENSORS).replace("[8,8]", f"[{'9' * 5000}]"),
    "unknown field": header_text(TENSORS).replace('"dtype":"F32"', '"x":1,"dtype":"F32"', 1),
    "repeated field": header_text(TENSORS).replace(
        '"dtype":"F32"', '"dtype":"F32","dtype":"F32"', 1
    ),
    "two pairs in one": header_text(TENSORS).replace('[512,768]},"model.layers.1.w":', "[512,768]"),
    "moved bracket": (
        f'{{"a":{entry(offsets="[0,4][4,8]")},"b":{{"dtype":"U8","shape":[4],"data_offsets":}}}}'
    ),
    "name like a meeting": header_text({"a},": ("U8", [4]), "b": ("U8", [4])}),
    "cut": header_text(TENSORS)[:-1],
    "more": header_text(TENSORS) + "}",
}


@pytest.mark.parametrize("text", IRREGULAR.values(), ids=IRREGULAR)
def test_what_is_not_proved_sound_is_left_to_the_exact_reader(text: str) -> None:
    size = 8 if '"a' in text[:4] else SIZE

    assert fast(text, size) is None
    assert isinstance(exact(text, size), Header)


def test_a_file_of_another_size_is_left_to_the_exact_reader() -> None:
    assert fast(header_text(TENSORS), SIZE + 1) is None


@given(
    st.integers(0, len(header_text(TENSORS)) - 1),
    st.text(alphabet='{}[]",:0123456789a\\ \n', max_size=3),
    st.integers(0, 3),
)
def test_a_mutated_header_is_accepted_only_where_the_exact_reader_does(
    place: int, inserted: str, cut: int
) -> None:
    sound = header_text(TENSORS)
    text = sound[:place] + inserted + sound[place + cut :]
    found = fast(text)

    if found is not None:
        assert exact(text) == found
        assert found.is_valid


def test_parse_header_takes_the_fast_way_for_a_sound_file() -> None:
    data = file_of(TENSORS, {"format": "pt"})

    assert read_regular(data[8 : len(data) - SIZE].decode(), len(data) - SIZE - 8, len(data)) == (
        parse_header(data, len(data))
    )
