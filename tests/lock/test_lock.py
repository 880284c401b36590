"""A lock gives every name back, is small, the same each time, and read with care."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.errors import SourceUnreadable, UsageError
from ckptscan.lock import Compared, open_for_lock, read_lock, written
from ckptscan.lock.making import products, split
from ckptscan.names import IndexSet, fill
from ckptscan.sources import FileEntry, open_source
from ckptscan.sources.memory import MemorySource
from ckptscan.sources.pack import write_pack
from tests.conftest import WRITABLE, file_of, pack, source_of
from tests.lock.making import locked

MODEL = {"model.safetensors": {"a.0.w": ("F32", [2]), "a.1.w": ("F32", [2]), "b": ("U8", [])}}


@pytest.mark.parametrize(
    ("model", "most"),
    [
        pytest.param("deepseek-ai--DeepSeek-V3", 80_000, marks=pytest.mark.slow),
        ("Qwen--Qwen2-7B", 8_000),
    ],
)
def test_a_lock_of_a_real_model(model: str, most: int) -> None:
    checkpoint, lock = open_for_lock(pack(model))
    text = written(lock)
    names = {name for file in lock.files for name, _ in lock.tensors(file)}

    assert set(checkpoint.table.names) == names
    assert len(names) == lock.count
    assert lock == read_lock(text.encode(), "x")
    assert len(text) < most
    assert text == written(open_for_lock(pack(model))[1])


def test_a_pack_and_its_folder_have_one_lock(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("locked") / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(file_of(MODEL["model.safetensors"]))
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_bytes(b" " * (1 << 20) + b"{}")
    (folder / "merges.txt").write_bytes(b"a b")
    packed = folder.parent / "x.ckptpack"
    write_pack(open_source(str(folder)), str(packed))
    _, of_folder = open_for_lock(open_source(str(folder)))
    _, of_pack = open_for_lock(open_source(str(packed)))
    drift = Compared(of_folder, of_pack).drift

    assert ((), ()) == (drift.contents, drift.headers)
    assert [None] == [one.sha256 for one in of_pack.others if one.path == "tokenizer.json"]


def test_only_headers_and_side_files_are_read() -> None:
    source = source_of({**MODEL, "config.json": b"{}", "x.gguf": b"x" * 99})
    _, lock = open_for_lock(source)
    head = 8 + int.from_bytes((source.held("model.safetensors") or b"")[:8], "little")

    assert {"config.json", "x.gguf"} == {one.path for one in lock.others}
    assert all(path != "x.gguf" for path, _, _ in source.ranges)
    assert all(s + n <= head for path, s, n in source.ranges if path == "model.safetensors")


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40))
def test_products_hold_the_tuples_and_no_others(tuples: list[tuple[int, int, int]]) -> None:
    wanted = sorted(set(tuples))
    found = [one for axes in products(wanted) for one in product(*axes)]

    assert wanted == sorted(found)


@pytest.mark.parametrize("name", ["", "a", "0", "07.1", "a.*.3\\", "1.2.3.4.5.6.7.8.9.10", "a..0"])
def test_a_name_is_made_again_from_its_pattern(name: str) -> None:
    pattern, indices = split(name)

    assert name == fill(pattern, indices, [IndexSet.of([index]) for index in indices])


def document() -> dict[str, Any]:
    loaded = json.loads(written(locked({**MODEL, "config.json": b"{}"})))
    assert isinstance(loaded, dict)
    return loaded


def changed(path: str, value: object) -> bytes:
    """A sound lock with one value changed: `files.0.size`."""
    whole: Any = document()
    held = whole
    *above, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in above:
        held = held[part]
    held[last] = value
    return json.dumps(whole).encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "the whole is no object"),
        (b"{}", "its schema is not"),
        (changed("schema", "ckptscan.lock/2"), "its schema is not"),
        (changed("source", None), "source is no object"),
        (changed("source.title", 1), "title: no text"),
        (changed("tensors", 4), "says otherwise"),
        (changed("kinds.0", ["a", "F32"]), "a kind is"),
        (changed("kinds.0", ["a", "F32", [-1]]), "a dimension: no count"),
        (changed("kinds.0", ["a", "F32", [1] * 65]), "too many dimensions"),
        (changed("kinds.0.0", "b"), "one star for each axis"),
        (changed("files.0", 3), "a file is no object"),
        (changed("files.0.size", value=True), "a size: no count"),
        (changed("files.0.path", None), "a path: no text"),
        (changed("files.0.digest", 3), "a digest: no text"),
        (changed("files.0.tensors.0", []), "a kind that it does not name"),
        (changed("files.0.tensors.0", [9, "0"]), "a kind that it does not name"),
        (changed("files.0.tensors.0.1", "0-999999999999"), "more than 2,000,000 tensors"),
        (changed("files.0.tensors.0.1", "3-1"), "do not ascend"),
        (changed("files.0.tensors.0.1", "a"), "no set of indices"),
        (changed("files.0.tensors.0.1", 1), "an axis: no text"),
        (changed("others.0.sha256", 1), "a sha256: no text"),
        (changed("others", [{"path": "a", "size": 1, "sha256": None}] * 2), "a file twice"),
        (changed("others", 3), "others: no list"),
    ],
)  # fmt: skip
def test_what_is_no_lock_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_lock(data, "x.lock.json")

    assert reason in caught.value.message
    assert caught.value.message.startswith("x.lock.json: no lock: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(WRITABLE, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(WRITABLE, max_size=5), inner)
    ),
    max_leaves=8,
)
PLACES = [
    "tensors", "source", "kinds", "kinds.0", "kinds.0.2", "files", "files.0", "files.0.tensors",
    "files.0.tensors.0", "files.0.tensors.0.1", "files.0.header", "others", "others.0",
]  # fmt: skip


@given(st.sampled_from(PLACES), JSON)
def test_any_value_at_any_place_is_a_lock_or_a_usage_error(place: str, value: object) -> None:
    try:
        lock = read_lock(changed(place, value), "x")
    except UsageError:
        return

    Compared(lock, locked(MODEL)).drift.contents  # noqa: B018


def test_what_can_not_be_read_is_an_error_unless_a_pack_lists_it() -> None:
    data = file_of(MODEL["model.safetensors"])
    source = MemorySource({"model.safetensors": data}, [FileEntry("merges.txt", 7)])
    with pytest.raises(SourceUnreadable):
        open_for_lock(source)
