"""Any object of a program's own as a source."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from ckptscan.checkpoint import load
from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
)
from ckptscan.report import Layout, report
from ckptscan.sources.access import Access
from ckptscan.sources.objects import Store, open_object
from ckptscan.structure import describe
from tests.conftest import file_of, index_of, source_of

ONE = "model-00001-of-00002.safetensors"
TWO = "model-00002-of-00002.safetensors"
FILES = {
    ONE: file_of({"a.0.weight": ("BF16", [64, 64])}),
    TWO: file_of({"a.1.weight": ("BF16", [64, 64])}),
    "model.safetensors.index.json": index_of({"a.0.weight": ONE, "a.1.weight": TWO}),
    "config.json": b'{"architectures":["X"]}',
    "README.md": b"# hello",
}


class Held:
    """Files in memory, as a program might hand them in; notes what is asked of it."""

    def __init__(self, files: dict[str, bytes], at_most: int = 1 << 30) -> None:
        self.files = files
        self.at_most = at_most
        self.sized: list[str] = []
        self.ranges: list[tuple[str, int, int]] = []

    def list(self) -> Iterable[object]:
        return [*self.files]

    def size(self, path: str) -> int:
        self.sized.append(path)
        return len(self.files[path])

    def read(self, path: str, start: int, length: int) -> bytes:
        self.ranges.append((path, start, length))
        return self.files[path][start : start + min(length, self.at_most)]


class Listed(NamedTuple):
    path: str
    size: int


def test_an_object_reports_what_the_same_files_do() -> None:
    reports = []
    for source in (open_object(Held(FILES), "memory"), source_of(FILES)):
        document = json.loads("\n".join(report(describe(load(source)), "json", Layout())))
        document.pop("source")
        reports.append(document)

    assert reports[0] == reports[1]
    assert ("object", "mine") == open_object(Held(FILES), "mine").origin[1:3]


def test_no_byte_past_a_header_is_asked_for_and_each_file_once() -> None:
    store = Held(FILES)
    load(open_object(store))

    heads = {path: 8 + int.from_bytes(FILES[path][:8], "little") for path in (ONE, TWO)}
    reads = [span for span in store.ranges if span[0] in heads]
    assert sorted(heads) == sorted(path for path, _, _ in reads)
    # the index foretells a header's length within a few bytes a tensor
    assert all(start + length <= heads[path] + 128 for path, start, length in reads)
    assert 4 == len(store.ranges)
    assert "README.md" not in store.sized


@pytest.mark.parametrize(
    "listed",
    [
        [(path, len(data)) for path, data in FILES.items()],
        [Listed(path, len(data)) for path, data in FILES.items()],
        [{"path": path, "size": len(data)} for path, data in FILES.items()],
    ],
    ids=["pairs", "attributes", "mappings"],
)
def test_a_list_that_tells_sizes_is_taken_at_its_word(listed: list[object]) -> None:
    class Sized(Held):
        def list(self) -> Iterable[object]:
            return iter(listed)

    store = Sized(FILES)
    found = load(open_object(store))

    assert ["a.0.weight", "a.1.weight"] == list(found.table.names)
    assert [] == store.sized


def test_an_object_that_gives_less_than_asked_for_is_asked_again() -> None:
    store = Held(FILES, at_most=7)

    assert ["a.0.weight", "a.1.weight"] == list(load(open_object(store)).table.names)


def test_a_range_ends_where_the_file_does() -> None:
    source = open_object(Held({"model.safetensors": b"0123456789"}))

    assert b"234" == source.read("model.safetensors", 2, 3)
    assert b"89" == source.read("model.safetensors", 8, 100)
    assert b"" == source.read("model.safetensors", 50, 1)


def test_any_buffer_is_bytes_and_a_buffer_is_copied() -> None:
    class Lending(Held):
        def read(self, path: str, start: int, length: int) -> bytes:
            lent = bytearray(super().read(path, start, length))
            return memoryview(lent)  # type: ignore[return-value]

    assert ["a.0.weight", "a.1.weight"] == list(load(open_object(Lending(FILES))).table.names)


def test_paths_that_leave_the_folder_are_told_and_never_asked_for() -> None:
    hostile = ["/etc/x.json", "a//b.json", "c:/x.json", "a\x1b[31m.json", "b\\c.json", "../up.json"]
    store = Held(
        {
            **FILES,
            **dict.fromkeys(hostile, b"{}"),
            ".git/x.json": b"",
            "1/2/3/4/x.json": b"",
        }
    )
    source = open_object(store)
    load(source)

    entries = {entry.path: entry.problem for entry in source.files()}
    assert dict.fromkeys(hostile, "is named like no file in a folder") == {
        path: problem for path, problem in entries.items() if path in hostile
    }
    assert not {*store.sized, *(path for path, _, _ in store.ranges)} & {*hostile}
    assert not {".git/x.json", "1/2/3/4/x.json"} & entries.keys()


def test_of_a_path_that_is_listed_twice_the_first_counts() -> None:
    class Twice(Held):
        def list(self) -> Iterable[object]:
            return [("a.json", 2), ("a.json", 99)]

    assert [("a.json", 2)] == [
        (entry.path, entry.size) for entry in open_object(Twice({"a.json": b"{}"})).files()
    ]


@pytest.mark.parametrize(
    ("raised", "kind", "message"),
    [
        (FileNotFoundError("gone"), SourceNotFound, "is not there (FileNotFoundError)"),
        (KeyError("gone"), SourceNotFound, "is not there (KeyError)"),
        (PermissionError("no"), SourceRefused, "may not be read (PermissionError)"),
        (TimeoutError("slow"), SourceUnreachable, "is out of reach (TimeoutError)"),
        (OSError("https://x?sig=secret"), SourceUnreadable, "can't be read (OSError)"),
        (ValueError("bad"), SourceUnreadable, "can't be read (ValueError)"),
        (RuntimeError("closed"), SourceUnreadable, "can't be read (RuntimeError)"),
        (EOFError("end"), SourceUnreadable, "can't be read (EOFError)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_an_object_raises_names_the_file_and_keeps_its_cause(
    raised: Exception, kind: type[SourceError], message: str
) -> None:
    class Failing(Held):
        def read(self, path: str, start: int, length: int) -> bytes:
            raise raised

    with pytest.raises(kind) as caught:
        load(open_object(Failing({"model.safetensors": FILES[ONE]})))

    assert f"model.safetensors: {message}" == caught.value.message
    assert raised is caught.value.__cause__
    assert caught.value.hint


def test_an_error_of_ours_passes_and_a_fault_of_the_program_too() -> None:
    class Ours(Held):
        def size(self, path: str) -> int:
            raise SourceRefused("members only", "join")

    class Broken(Held):
        def size(self, path: str) -> int:
            raise ZeroDivisionError

    with pytest.raises(SourceRefused, match="members only"):
        open_object(Ours(FILES))
    with pytest.raises(ZeroDivisionError):
        open_object(Broken(FILES))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (-1, "its size is told as -1 bytes"),
        (1 << 70, "its size is told as 1,180,591,620,717,411,303,424 bytes"),
        (True, "its size is told as bool"),
        (1.5, "its size is told as float"),
        (None, "its size is told as NoneType"),
    ],
)
def test_a_size_that_is_none_is_an_error(size: object, message: str) -> None:
    class Odd(Held):
        def size(self, path: str) -> int:
            return size  # type: ignore[return-value]

    with pytest.raises(SourceUnreadable, match=message):
        open_object(Odd({"model.safetensors": b""}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("text", "read() gives str, not bytes"),
        (None, "read() gives NoneType, not bytes"),
        (bytes(1 << 20), "bytes are asked for, 1,048,576 come"),
        (b"", "it ends at 0 of"),
    ],
    ids=["str", "none", "more", "nothing"],
)
def test_an_answer_that_is_none_is_an_error(given: object, message: str) -> None:
    class Odd(Held):
        def read(self, path: str, start: int, length: int) -> bytes:
            return given  # type: ignore[return-value]

    with pytest.raises(SourceError) as caught:
        load(open_object(Odd({"model.safetensors": FILES[ONE]})))
    assert message in caught.value.message
    assert caught.value.message.startswith("model.safetensors: ")


def test_a_list_of_no_paths_is_an_error() -> None:
    for listed in ([5], [(1, 2, 3)], [b"model.safetensors"], 7):

        class Odd(Held):
            given = listed

            def list(self) -> Iterable[object]:
                return self.given  # type: ignore[return-value]

        with pytest.raises(SourceUnreadable, match=r"list\(\) gives|can't be read"):
            open_object(Odd(FILES))


def test_a_list_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Held):
        def list(self) -> Iterable[object]:
            while True:
                yield "a.json"

    monkeypatch.setattr("ckptscan.sources.objects.MAX_FILES", 10)
    with pytest.raises(SourceUnreadable, match="more than 10 files"):
        open_object(Endless({}))


def test_an_object_that_hangs_ends_with_the_time() -> None:
    over = threading.Event()

    class Hanging(Held):
        def list(self) -> Iterable[object]:
            over.wait()
            return []

    with pytest.raises(SourceUnreachable, match=r"not done within 0\.05 seconds"):
        open_object(Hanging({}), access=Access(timeout=0.05))
    over.set()


def test_what_is_a_store_is_known_by_its_methods() -> None:
    assert isinstance(Held({}), Store)
    assert not isinstance(source_of({}), Store)
    assert not isinstance(open_object(Held({})), Store)
    assert not isinstance("path", Store)
