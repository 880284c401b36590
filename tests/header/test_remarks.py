"""What the reference tolerates is remarked: valid files with something to know about them."""

from __future__ import annotations

import pytest

from ckptscan.header import Header, parse_header, wanted
from fixtures.make import entry
from tests.conftest import file_of, framed, header_text

GOOD = entry()


def read(data: bytes) -> Header:
    return parse_header(data[: wanted(data[:8], len(data))], len(data))


def padded(text: str) -> str:
    return text + " " * (-len(text.encode()) % 8)


CASES = {
    "invisible": (padded(f'{{"w\ufe00":{GOOD}}}'), ["hostile-name"]),
    "quiet": (padded(f'{{"a":{GOOD}}}'), []),
    "duplicate name": (padded(f'{{"a":{GOOD},"a":{GOOD}}}'), ["duplicate-name"]),
    "same name escaped": (padded(f'{{"a":{GOOD},"\\u0061":{GOOD}}}'), ["duplicate-name"]),
    "metadata null": (padded(f'{{"__metadata__":null,"a":{GOOD}}}'), ["metadata-null"]),
    "metadata key twice": (
        padded(f'{{"__metadata__":{{"k":"1","k":"2"}},"a":{GOOD}}}'),
        ["duplicate-metadata-key"],
    ),
    "metadata with an escape": (
        padded(f'{{"__metadata__":{{"k":"\\u001b[31m"}},"a":{GOOD}}}'),
        ["hostile-metadata"],
    ),
    "metadata of several lines": (padded(f'{{"__metadata__":{{"k":"a\\nb\\t"}},"a":{GOOD}}}'), []),
    "leading space": (padded(f' {{"a":{GOOD}}}'), ["leading-whitespace"]),
    "newline padding": (f'{{"a":{GOOD}}}'.ljust(64, "\n"), ["odd-padding"]),
    "unknown field": (padded(f'{{"a":{GOOD[:-1]},"x":[1]}}}}'), ["unknown-field"]),
    "entry as array": (padded('{"a":["U8",[4],[0,4]]}'), ["odd-entry-form"]),
    "dtype as object": (
        padded(f'{{"a":{GOOD}}}'.replace('"U8"', '{"U8":null}')),
        ["odd-entry-form"],
    ),
    "unaligned data": (f'{{"a":{GOOD}}}', ["unaligned-data"]),
    "empty name": (padded(f'{{"":{GOOD}}}'), ["hostile-name"]),
    "control character": (padded(f'{{"a\\u001bb":{GOOD}}}'), ["hostile-name"]),
    "delete": (padded(f'{{"a\x7fb":{GOOD}}}'), ["hostile-name"]),
    "bidi": (padded(f'{{"a\u202eb":{GOOD}}}'), ["hostile-name"]),
    "zero width": (padded(f'{{"a\u200bb":{GOOD}}}'), ["hostile-name"]),
    "path": (padded(f'{{"../../etc/passwd":{GOOD}}}'), ["hostile-name"]),
    "absolute path": (padded(f'{{"/etc/passwd":{GOOD}}}'), ["hostile-name"]),
    "trailing space": (padded(f'{{"a ":{GOOD}}}'), ["hostile-name"]),
    "long name": (padded(f'{{"{"a" * 1025}":{GOOD}}}'), ["hostile-name"]),
    "slashes of another framework": (padded(f'{{"encoder/layer_0/kernel":{GOOD}}}'), []),
    "letters of other scripts": (padded(f'{{"слой":{GOOD}}}'), []),
}


@pytest.mark.parametrize(("text", "kinds"), CASES.values(), ids=CASES)
def test_a_valid_file_is_remarked(text: str, kinds: list[str]) -> None:
    header = read(framed(text, b"abcd"))

    assert header.is_valid
    assert kinds == [fault.kind for fault in header.faults if fault.kind in kinds or not kinds]
    assert len(kinds) == len({fault.kind for fault in header.faults})


def test_tensors_that_are_not_aligned_are_counted() -> None:
    header = read(file_of({"a": ("U8", [3]), "b": ("F32", [2]), "c": ("F64", [1])}))

    assert ["2 tensors not aligned to the dtype"] == [fault.message for fault in header.faults]


def test_unaligned_data_tells_how_many_tensors_suffer() -> None:
    text = header_text({"a": ("F64", [2]), "b": ("U8", [8]), "c": ("F32", [2])})
    text += " " * (-len(text) % 8 + 4)
    header = read(framed(text, bytes(32)))

    assert f"the data begin at byte {8 + len(text):,}, not at a multiple of 8" in (
        header.faults[0].message
    )
    assert "1 tensor not aligned" in header.faults[0].message


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("duplicate name", "warning"), ("unaligned data", "note"), ("unknown field", "warning")],
)
def test_a_remark_is_a_warning_or_a_note(kind: str, severity: str) -> None:
    header = read(framed(CASES[kind][0], b"abcd"))

    assert severity == header.faults[0].severity
