"""Plain http: one file, an index, a folder; and what such servers do."""

from __future__ import annotations

import pytest

from ckptscan.errors import (
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
    UsageError,
)
from ckptscan.sources import open_source
from tests.sources.conftest import SHARDS, TENSORS, heads, read, shard, shard_file, three
from tests.standin import Standin

INDEX = "model.safetensors.index.json"
ALL = SHARDS * TENSORS


@pytest.fixture
def folder(standin: Standin) -> str:
    """The address of a folder with three shards, their index and a config."""
    urls = [standin.put(f"model dir/{path}", data) for path, data in three().items()]
    return urls[0].rpartition("/")[0]


def test_a_weight_file_is_read_in_one_request(standin: Standin) -> None:
    url = standin.put("model.safetensors", shard_file(1))

    found = read(f"{url}?X-Signature=secret#top")
    assert TENSORS == len(found.table)
    assert ("http", url) == (found.origin.kind, found.origin.spec)
    assert 1 == len(standin.requests)
    assert "X-Signature=secret" == standin.requests[0].query
    assert "secret" not in repr(found.origin)


@pytest.mark.parametrize("name", [INDEX, f"{INDEX}?sig=1", ""])
def test_an_index_or_a_folder_gives_all_that_it_names(name: str, folder: str) -> None:
    found = read(f"{folder}/{name}")

    assert ALL == len(found.table)
    assert found.is_sound
    assert "LlamaForCausalLM" == found.config.architecture
    assert {path: len(data) for path, data in three().items()} == {
        entry.path: entry.size for entry in found.files
    }


def test_a_folder_with_one_weight_file_is_that_file(standin: Standin) -> None:
    url = standin.put("one/model.safetensors", shard_file(1))

    assert TENSORS == len(read(url.removesuffix("model.safetensors")).table)


def test_a_query_goes_with_every_file_of_the_folder(standin: Standin, folder: str) -> None:
    read(f"{folder}/{INDEX}?sv=1&sig=x%2By")

    assert {"sv=1&sig=x%2By"} == {one.query for one in standin.requests}


def test_a_file_that_is_another_one_now_is_no_longer_read(standin: Standin) -> None:
    data = shard_file(1)
    source = open_source(standin.put("model.safetensors", data))
    (entry,) = source.files()
    standin.put("model.safetensors", data[:-1] + b"?")

    with pytest.raises(SourceUnreadable, match=r"^model.safetensors: it changed while it was read"):
        source.read(entry.path, entry.size - 8, 8)


def test_few_bytes_of_shards_are_read(standin: Standin, folder: str) -> None:
    read(f"{folder}/{INDEX}")

    assert SHARDS == standin.count(file="*.safetensors")
    assert 1.6 * heads() >= standin.body_bytes("*.safetensors")  # short names, long numbers


def test_a_shard_that_is_not_there_is_missing(standin: Standin, folder: str) -> None:
    for path in [path for path in standin.static if path.endswith(shard(2))]:
        del standin.static[path]

    found = read(f"{folder}/{INDEX}")
    assert (shard(2),) == found.missing
    assert found.incomplete


def test_a_file_that_is_not_there_is_an_error(standin: Standin) -> None:
    url = standin.put("a/x.safetensors", shard_file(1)).removesuffix("x.safetensors")

    for name in ("model.safetensors", INDEX, ""):
        with pytest.raises(SourceNotFound, match="has no such file"):
            read(url + name)


def test_a_password_is_sent_to_its_origin_and_never_shown(standin: Standin) -> None:
    url = standin.put("model.safetensors", shard_file(1)).replace("/plain/", "/plain-auth/")

    with pytest.raises(SourceRefused, match=r"refuses it \(401\)"):
        read(url)
    found = read(url.replace("//", "//user:pw@"))
    assert TENSORS == len(found.table)
    assert "pw" not in repr(found.origin)
    standin.clear()
    standin.faults.on("redirect_evil")
    read(url.replace("//", "//user:pw@"))
    assert not [
        one for one in standin.requests if one.origin == "evil" and one.headers.get("authorization")
    ]


@pytest.mark.parametrize(
    "name", ["ignore_range", "direct", "wrong_content_range", "lying_length", "gzip"]
)
def test_faults_of_servers_pass(name: str, standin: Standin, folder: str) -> None:
    values = {"wrong_content_range": "unknown", "lying_length": 20, "gzip": "range"}
    standin.faults.on(name, values.get(name), path="*.safetensors")

    assert ALL == len(read(f"{folder}/{INDEX}").table)


def test_a_size_that_nothing_tells_is_what_the_header_promises(standin: Standin) -> None:
    url = standin.put("model.safetensors", shard_file(1))
    standin.faults.on("wrong_content_range", "unknown")

    found = read(url)
    assert len(shard_file(1)) == found.files[0].size
    assert [("size-not-told", "warning")] == [
        (fault.kind, fault.severity) for _, fault in found.faults
    ]
    assert found.is_sound


def test_an_html_page_is_a_fault_of_the_file(standin: Standin) -> None:
    url = standin.put("model.safetensors", b"<!doctype html><html>" + b" " * 100)

    found = read(url)
    assert "HeaderTooLarge" == found.faults[0].fault.error
    assert not found.is_sound


def test_offline_no_address_is_read(standin: Standin) -> None:
    with pytest.raises(SourceUnreachable, match="requests are forbidden"):
        read("https://example.org/model.safetensors", offline=True)


def test_a_page_of_a_mirror_says_how_to_set_it() -> None:
    with pytest.raises(UsageError) as caught:
        read("https://hf-mirror.example/org/name/blob/main/model.safetensors")
    assert "HF_ENDPOINT=https://hf-mirror.example" in caught.value.hint
