"""Index files: the shards they name, exactly as json reads them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.index import Index, read_index, read_weight_map
from tests.conftest import index_of

NAMES = st.text(st.sampled_from('abc.0/_-"\\ é}{'), max_size=6)
MAPS = st.dictionaries(NAMES, st.sampled_from(["a.safetensors", "b.safetensors", "é", ""]))


def test_an_index_tells_its_shards_entries_and_metadata() -> None:
    raw = index_of({"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}, total_size=8)

    contents = {"1.safetensors": (2, 6), "2.safetensors": (1, 3)}
    expected = Index(tuple(contents), 3, {"total_size": 8}, contents=contents)
    assert expected == read_index(raw)


@given(
    MAPS,
    st.sampled_from([(None, None), (2, None), (0, None), (None, (",", ":")), (4, (" ,", " : "))]),
    st.booleans(),
)
def test_every_way_of_writing_gives_what_json_gives(
    weight_map: dict[str, str], style: tuple[int | None, tuple[str, str] | None], first: bool
) -> None:
    parts = [("metadata", {"total_size": 1}), ("weight_map", weight_map)]
    document = dict(parts if first else parts[::-1])
    raw = json.dumps(document, indent=style[0], separators=style[1]).encode()

    contents: dict[str, tuple[int, int]] = {}
    for name, shard in weight_map.items():
        tensors, names = contents.get(shard, (0, 0))
        contents[shard] = tensors + 1, names + len(json.dumps(name))
    expected = Index(tuple(contents), len(weight_map), {"total_size": 1}, contents=contents)
    assert expected == read_index(raw)
    assert weight_map == read_weight_map(raw)


PROBLEMS = {
    "empty": b"",
    "html": b"<html>",
    "cut short": index_of({"a": "x", "b": "y"})[:-8],
    "no map": b'{"metadata":{}}',
    "array": b"[]",
    "map is a list": b'{"weight_map":[]}',
    "file is a number": b'{"weight_map":{"a":1}}',
    "not utf-8": b'{"weight_map":{"\xff":"a"}}',
    "deep": b'{"weight_map":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "missing comma": b'{"weight_map": {"a": "x" "b": "y"}}',
    "stray word": b'{"weight_map": {"a": "x", junk "b": "y"}}',
    "two commas": b'{"weight_map": {"a": "x",, "b": "y"}}',
    "absurd number": b'{"metadata":' + b"9" * 5000 + b',"weight_map":{"a":"x"}}',
}


@pytest.mark.parametrize("raw", PROBLEMS.values(), ids=PROBLEMS)
def test_an_index_that_can_t_be_used_says_why(raw: bytes) -> None:
    index = read_index(raw)

    assert index.problem is not None
    assert index.problem.isprintable()
    assert () == index.shards


@given(st.binary(max_size=80))
def test_any_bytes_give_an_index(raw: bytes) -> None:
    assert isinstance(read_index(raw), Index)


BASE = index_of({"aa": "xx", "bb": "xx", "cc": "yy"}, total_size=8)


@given(
    st.integers(0, len(BASE)),
    st.sampled_from(list(b' \t\n\x0c\x0b",:{}[]ajn1\\\xc3\x7f')),
    st.booleans(),
)
def test_a_changed_byte_is_read_as_json_reads_it(place: int, char: int, is_inserted: bool) -> None:
    raw = BASE[:place] + bytes([char]) + BASE[place + (not is_inserted) :]
    try:
        weight_map = json.loads(raw).get("weight_map")
    except ValueError:
        assert read_index(raw).problem is not None
        return
    if not isinstance(weight_map, dict):
        assert read_index(raw).problem is not None
        return
    assert set(weight_map.values()) == set(read_index(raw).shards)


def test_an_escaped_key_can_t_replace_the_map_unseen() -> None:
    raw = b'{"metadata": {"weight_map": {"a": "e", "b": "f"}}, "weight\\u005fmap": {"c": "good"}}'

    assert ("good",) == read_index(raw).shards


def test_a_nested_weight_map_is_not_the_weight_map() -> None:
    raw = b'{"metadata": {"weight_map": {"a": "evil"}}, "weight_map": {"b": "good"}}'

    assert ("good",) == read_index(raw).shards


def test_a_repeated_weight_map_counts_as_json_counts_it() -> None:
    raw = b'{"weight_map": {"a": "first"}, "weight_map": {"b": "last"}}'

    assert ("last",) == read_index(raw).shards


def test_a_tensor_may_be_called_weight_map() -> None:
    raw = index_of({"weight_map": "a", "b": "c"})

    assert Index(("a", "c"), 2, contents={"a": (1, 12), "c": (1, 3)}) == read_index(raw)


def test_an_unusable_index_has_no_map() -> None:
    with pytest.raises(ValueError, match="no weight_map"):
        read_weight_map(b"{}")
