"""Buckets of S3, against moto's server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ckptscan.checkpoint import load
from ckptscan.errors import (
    CkptscanError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
)
from ckptscan.report import Layout, report
from ckptscan.sources.access import Access
from ckptscan.sources.cloud import open_cloud
from ckptscan.sources.local import open_local
from ckptscan.sources.ranged import RangedSource
from ckptscan.structure import describe
from tests.conftest import file_of, index_of
from tests.sources.moto import Moto, forget_the_users_clouds, noted, running, without_lists

pytestmark = pytest.mark.slow

SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
INDEX = "model.safetensors.index.json"
FILES = {
    **{shard: file_of({f"a.{n}.weight": ("BF16", [64, 64])}) for n, shard in enumerate(SHARDS)},
    INDEX: index_of({f"a.{n}.weight": shard for n, shard in enumerate(SHARDS)}),
    "config.json": b'{"architectures":["X"]}',
    "README.md": b"# hello",
}
NAMES = ["a.0.weight", "a.1.weight", "a.2.weight"]


@pytest.fixture(autouse=True)
def _no_cloud_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_the_users_clouds(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="module")
def server() -> Iterator[Moto]:
    yield from running()


@pytest.fixture
def moto(server: Moto, monkeypatch: pytest.MonkeyPatch) -> Moto:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return server


@pytest.fixture
def listless(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moto]:
    with without_lists(moto) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield moto


@pytest.fixture
def asked(server: Moto, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    return noted(monkeypatch)


def opened(spec: str, **access: Any) -> RangedSource:
    return open_cloud(spec, spec, Access(**{"timeout": 30.0, **access}))


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{path}": data for path, data in files.items()}


def document(source: Any) -> dict[str, Any]:
    found = json.loads("\n".join(report(describe(load(source)), "json", Layout())))
    found.pop("source")
    found["tree"].pop("label")
    assert isinstance(found, dict)
    return found


def test_a_folder_in_a_bucket_reports_what_the_same_files_on_disk_do(
    moto: Moto, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path, data in FILES.items():
        (folder / path).write_bytes(data)
    bucket = moto.bucket({**below("m/v1", FILES), "m/v10/x.safetensors": b"", "other": b""})
    source = opened(f"s3://{bucket}/m/v1/")

    assert document(open_local(str(folder))) == document(source)
    assert ("s3", f"{bucket}/m/v1", None) == (
        source.origin.kind,
        source.origin.title,
        source.origin.named,
    )


def test_nothing_but_ranges_of_headers_and_small_files_is_asked_for(
    moto: Moto, asked: list[tuple[Any, ...]]
) -> None:
    bucket = moto.bucket(below("m", FILES))
    load(opened(f"s3://{bucket}/m"))

    assert ("list", "m") == asked[0]
    assert {"get"} == {call[0] for call in asked[1:]}
    for _, key, start, end in asked[1:]:
        data = FILES[key.removeprefix("m/")]
        head = 8 + int.from_bytes(data[:8], "little")
        assert end - start <= (head + 128 if key.endswith(".safetensors") else len(data))
    assert sorted(["m/config.json", f"m/{INDEX}", *(f"m/{shard}" for shard in SHARDS)]) == sorted(
        call[1] for call in asked[1:]
    )


def test_a_second_reading_asks_for_the_list_alone_until_a_file_is_written(
    moto: Moto, asked: list[tuple[Any, ...]]
) -> None:
    bucket = moto.bucket(below("m", FILES))
    load(opened(f"s3://{bucket}/m"))
    asked.clear()
    assert NAMES == list(load(opened(f"s3://{bucket}/m")).table.names)
    assert [("list", "m")] == asked

    changed = file_of({"b": ("BF16", [64, 64])})
    moto.client.put_object(Bucket=bucket, Key=f"m/{SHARDS[0]}", Body=changed)
    assert ["b", *NAMES[1:]] == list(load(opened(f"s3://{bucket}/m")).table.names)


def test_a_file_and_an_index_may_be_named(moto: Moto, asked: list[tuple[Any, ...]]) -> None:
    bucket = moto.bucket({**below("m", FILES), "top.safetensors": FILES[SHARDS[0]]})
    one = opened(f"s3://{bucket}/m/{SHARDS[1]}")

    assert NAMES[1:2] == list(load(one).table.names)
    assert [("head", f"m/{SHARDS[1]}")] == [call for call in asked if call[0] != "get"]
    assert "file" == one.origin.named
    index = opened(f"s3://{bucket}/m/{INDEX}")
    assert NAMES == list(load(index).table.names)
    assert ("index", INDEX) == (index.origin.named, index.origin.target)
    assert NAMES[:1] == list(load(opened(f"s3://{bucket}/top.safetensors")).table.names)
    assert NAMES[:1] == list(
        load(
            opened(
                f"s3://{bucket}",
            )
        ).table.names
    )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("{}/m/nope", "nothing lies below it"),
        ("{}/m/nope.safetensors", "is not in its bucket"),
        ("{}/m/x.safetensors.index.json", "is not in its bucket"),
        ("no-such-{}/m", "there is no such bucket"),
        ("no-such-{}/m/x.safetensors", "is not in its bucket"),
    ],
)
def test_what_is_not_there_is_an_error(moto: Moto, place: str, message: str) -> None:
    spec = "s3://" + place.format(moto.bucket(below("m", FILES)))
    with pytest.raises(SourceNotFound) as caught:
        opened(spec)

    assert f"{spec}: {message}" == caught.value.message


def test_without_credentials_a_public_bucket_is_read_and_a_private_one_refused(moto: Moto) -> None:
    public = moto.bucket(below("m", FILES), "public-read")
    private = moto.bucket(below("m", FILES))

    assert NAMES == list(load(opened(f"s3://{public}/m", anonymous=True)).table.names)
    for place in ("m", f"m/{SHARDS[0]}", f"m/{INDEX}"):
        with pytest.raises(SourceRefused, match="its bucket refuses it") as caught:
            load(opened(f"s3://{private}/{place}", anonymous=True))
        assert "leave --anonymous out" in caught.value.hint


def test_a_bucket_that_refuses_lists_is_read_by_names(
    listless: Moto, asked: list[tuple[Any, ...]]
) -> None:
    bucket = listless.bucket(below("m", FILES), "public-read")
    listless.client.put_object(
        Bucket=bucket, Key="m/short.safetensors.index.json", ACL="public-read",
        Body=index_of({"a.0.weight": SHARDS[0], "x": "gone.safetensors", "y": "../up.safetensors"}),
    )  # fmt: skip
    whole = load(opened(f"s3://{bucket}/m/{INDEX}", anonymous=True))

    assert NAMES == list(whole.table.names)
    assert "X" == whole.config.architecture
    assert [len(FILES[shard]) for shard in SHARDS] == [one.file_size for one in whole.table.shards]
    assert NAMES[:1] == list(
        load(opened(f"s3://{bucket}/m/{SHARDS[0]}", anonymous=True)).table.names
    )
    with pytest.raises(SourceRefused) as caught:
        opened(f"s3://{bucket}/m", anonymous=True)
    assert "where only lists are refused, name an index or a file" in caught.value.hint
    asked.clear()
    short = load(opened(f"s3://{bucket}/m/short.safetensors.index.json", anonymous=True))
    assert NAMES[:1] == list(short.table.names)
    assert short.incomplete
    assert not [call for call in asked if "up.safetensors" in str(call[1])]


HOSTILE = {
    "m/c:/x.json": "is named like no file in a folder",
    "m/back\\slash.json": "is named like no file in a folder",
    "m/\u202etxt.json": "is named like no file in a folder",
}


def test_keys_that_are_no_plain_paths_are_told_and_never_asked_for(
    moto: Moto, asked: list[tuple[Any, ...]]
) -> None:
    odd = {"m/sp ace+%2F.json": b"{}", "m/q?a#b.json": b"{}", "m/.git/x.json": b"{}", "m/": b""}
    bucket = moto.bucket({**below("m", FILES), **dict.fromkeys(HOSTILE, b"{}"), **odd})
    source = opened(f"s3://{bucket}/m")
    load(source)
    entries = {f"m/{entry.path}": entry.problem for entry in source.files()}

    assert HOSTILE == {key: problem for key, problem in entries.items() if problem}
    assert not HOSTILE.keys() & {call[1] for call in asked}
    assert "m/.git/x.json" not in entries
    assert b"{}" == source.read("sp ace+%2F.json", 0, 10)
    assert b"{}" == source.read("q?a#b.json", 0, 10)


@pytest.mark.parametrize("key", ["m/sub//x.json", "m/sub/../x.json", "m/sub/./x.json"])
def test_a_key_that_obstore_can_not_hold_costs_its_folder_alone(moto: Moto, key: str) -> None:
    files = {
        **below("m", FILES),
        "m/sub/y.json": b"{}",
        "m/part/model.safetensors": FILES[SHARDS[0]],
    }
    bucket = moto.bucket({**files, key: b"{}"})
    source = opened(f"s3://{bucket}/m")

    assert NAMES == list(load(source).table.names)
    entries = {entry.path: entry.problem for entry in source.files()}
    assert "holds keys that are no paths" == entries["sub"]
    assert {*FILES, "sub", "part/model.safetensors"} == entries.keys()


def test_beside_a_key_that_obstore_can_not_hold_an_index_may_be_named(moto: Moto) -> None:
    bucket = moto.bucket({**below("m", FILES), "m//x.json": b"{}"})

    with pytest.raises(SourceUnreadable, match="holds keys that are no paths") as caught:
        opened(f"s3://{bucket}/m")
    assert "name its index or a file" == caught.value.hint
    assert NAMES == list(load(opened(f"s3://{bucket}/m/{INDEX}")).table.names)


def test_two_keys_that_come_to_one_path_are_not_read(moto: Moto) -> None:
    bucket = moto.bucket({"m/model.safetensors": FILES[SHARDS[0]], "m/model.safetensors/": b""})
    source = opened(f"s3://{bucket}/m")

    assert [("model.safetensors", "is the name of two objects")] == [
        (entry.path, entry.problem) for entry in source.files()
    ]


def test_an_empty_file_is_a_fault_and_no_error(listless: Moto) -> None:
    files = {"m/model.safetensors": b"", f"m/{INDEX}": index_of({"a": "model.safetensors"})}
    bucket = listless.bucket(files, "public-read")

    for place in (INDEX, "model.safetensors"):
        found = load(opened(f"s3://{bucket}/m/{place}", anonymous=True))
        assert "file-too-small" in [fault.kind for _, fault in found.faults]


def test_a_file_that_is_written_meanwhile_is_an_error(moto: Moto) -> None:
    bucket = moto.bucket(below("m", FILES))
    source = opened(f"s3://{bucket}/m")
    moto.client.put_object(Bucket=bucket, Key=f"m/{SHARDS[0]}", Body=file_of({"b": ("U8", [1])}))

    with pytest.raises(SourceUnreachable, match="bytes are listed, now it has"):
        load(source)


def test_a_large_header_comes_in_pieces(
    moto: Moto, asked: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.cloud.bucket.PIECE", 10_000)
    large = file_of({f"layers.{n}.weight": ("U8", [1]) for n in range(1000)})
    bucket = moto.bucket({"model.safetensors": large})
    found = load(opened(f"s3://{bucket}/"))

    assert 1000 == len(found.table.names)
    assert all(end - start <= 10_000 for name, _, start, end in asked[1:] if name == "get")


def test_no_error_shows_where_the_store_lies(moto: Moto, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = moto.bucket({})
    for spec in (f"s3://{bucket}/x", "s3://nope-nope/x", f"s3://{bucket}/x.safetensors"):
        with pytest.raises(CkptscanError) as caught:
            opened(spec)
        assert moto.url.removeprefix("http://") not in caught.value.message + caught.value.hint


def test_more_files_than_a_checkpoint_has_are_an_error(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.cloud.bucket.MAX_FILES", 3)
    bucket = moto.bucket(below("m", FILES))

    with pytest.raises(SourceUnreadable, match="more than 3 files"):
        opened(f"s3://{bucket}/m")


def test_too_many_folders_beside_a_key_that_is_no_path_are_an_error(
    moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.cloud.bucket.MAX_FOLDERS", 2)
    bucket = moto.bucket({f"m/{name}/x.json": b"" for name in ("a", "b", "c/.")})

    with pytest.raises(SourceUnreadable, match="more than 2 folders"):
        opened(f"s3://{bucket}/m")


def test_an_index_of_a_bucket_without_lists_must_be_one(
    listless: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = listless.bucket({f"m/{INDEX}": b"{}"}, "public-read")
    with pytest.raises(SourceUnreadable) as caught:
        opened(f"s3://{bucket}/m/{INDEX}", anonymous=True)
    assert "name the weight files" == caught.value.hint

    monkeypatch.setattr("ckptscan.sources.unlisted.MAX_INDEX", 1)
    with pytest.raises(SourceUnreadable, match="2 bytes are more than 1"):
        opened(f"s3://{bucket}/m/{INDEX}", anonymous=True)
