"""Models of ModelScope, against a small server that answers as its public client expects."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ckptscan.checkpoint import load
from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    SourceUnreadable,
    UsageError,
)
from ckptscan.sources.access import Access
from ckptscan.sources.modelscope import DEFAULT_ENDPOINT, endpoint, listing, open_modelscope
from ckptscan.sources.ranged import RangedSource
from tests.conftest import file_of
from tests.sources.modelscope import (
    ALL,
    COMMIT,
    FILES,
    INDEX,
    OLDER,
    ONE,
    TWO,
    Standin,
    listed,
    serving,
    told,
)


@pytest.fixture
def standin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Standin]:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "cache"))
    for name in ("MODELSCOPE_DOMAIN", "MODELSCOPE_API_TOKEN", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serving() as there:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", there.url)
        yield there


def opened(spec: str = "ms://org/model", **access: Any) -> RangedSource:
    return open_modelscope(spec, spec, Access(**{"timeout": 20.0, **access}))


def test_a_model_is_read_by_ranges_at_the_commit_of_its_revision(standin: Standin) -> None:
    source = opened()
    checkpoint = load(source)

    assert ["a.0.weight", "a.1.weight"] == list(checkpoint.table.names)
    assert "X" == checkpoint.config.architecture
    assert ("modelscope", "org/model", "master", COMMIT) == source.origin[1:5]
    assert [{"Revision": "master", "Recursive": "True"}] == standin.queries("/repo/files")
    asked = standin.queries("/org/model/repo")
    assert {COMMIT} == {query["Revision"] for query in asked}
    assert {ONE, TWO, INDEX, "config.json", "part/model.safetensors"} == {
        query["FilePath"] for query in asked
    }
    digests = {shard.path: shard.digest for shard in checkpoint.table.shards}
    assert {path: hashlib.sha256(FILES[path]).hexdigest() for path in (ONE, TWO)} == digests


def test_no_byte_past_a_header_is_asked_for(standin: Standin) -> None:
    load(opened("ms://org/model/model.safetensors.index.json"))

    for path, _, headers in standin.asked:
        if path.startswith("/store/"):
            data = FILES[path.removeprefix("/store/")]
            last = int(headers["range"].rpartition("-")[2])
            assert last < 8 + int.from_bytes(data[:8], "little") + 128


def test_a_second_reading_needs_the_list_alone(standin: Standin) -> None:
    first = load(opened())
    standin.asked.clear()
    second = load(opened())

    assert list(first.table.names) == list(second.table.names)
    assert ["/api/v1/models/org/model/repo/files"] == [path for path, _, _ in standin.asked]


def test_a_full_commit_that_the_cache_knows_needs_no_request(standin: Standin) -> None:
    load(opened(revision=COMMIT))
    standin.asked.clear()

    assert COMMIT == load(opened(f"ms://org/model@{COMMIT}")).origin.commit
    assert [] == standin.asked


def test_offline_reads_what_the_cache_has_and_nothing_else(standin: Standin) -> None:
    with pytest.raises(SourceUnreachable, match="master is in no cache, and requests are"):
        opened(offline=True)
    load(opened())
    standin.asked.clear()

    assert 2 == len(load(opened(offline=True)).table.names)
    with pytest.raises(SourceUnreachable, match="is in no cache"):
        load(opened("ms://org/model@v1", offline=True))
    assert [] == standin.asked


@pytest.mark.parametrize(
    ("spec", "title", "named", "names"),
    [
        (f"ms://org/model/{TWO}", f"org/model/{TWO}", "file", ["a.1.weight"]),
        (f"ms://org/model/{INDEX}", f"org/model/{INDEX}", "index", ["a.0.weight", "a.1.weight"]),
        ("ms://org/model@v1/part", "org/model/part", None, ["b"]),
        ("ms://org/model@v1/part/", "org/model/part", None, ["b"]),
    ],
    ids=["file", "index", "folder", "folder-with-slash"],
)
def test_a_place_in_a_model_may_be_named(
    standin: Standin, spec: str, title: str, named: str | None, names: list[str]
) -> None:
    source = opened(spec)

    assert (title, named) == (source.origin.title, source.origin.named)
    assert names == list(load(source).table.names)


def test_what_is_named_and_not_there_is_an_error(standin: Standin) -> None:
    with pytest.raises(SourceNotFound, match=r"org/model: nope is not in it at master"):
        opened("ms://org/model/nope")
    with pytest.raises(SourceNotFound, match=r"x\.safetensors is not in it at v1"):
        opened("ms://org/model@v1/x.safetensors")


@pytest.mark.parametrize(
    ("latest", "revision", "expected"),
    [
        ({"Id": COMMIT}, "master", COMMIT),
        ({"Id": "", "ShortId": OLDER[:8]}, "master", OLDER),
        ({"Id": "", "ShortId": COMMIT[:8]}, "master", None),
        ({"Id": "../../x", "ShortId": "zz"}, "master", None),
        ({"Id": "", "ShortId": ""}, "master", None),
        ({"Id": OLDER}, COMMIT, COMMIT),
    ],
    ids=["told", "short", "short-of-none", "hostile", "empty", "asked-for"],
)
def test_the_commit_is_told_or_found_or_none(
    standin: Standin, latest: dict[str, str], revision: str, expected: str | None
) -> None:
    standin.listing = lambda _: (200, listed(ALL, **latest))
    source = opened(revision=revision)
    load(source)

    assert expected == source.origin.commit
    asked = {query["Revision"] for query in standin.queries("/org/model/repo")}
    assert {expected or revision} == asked


def test_without_a_commit_a_change_of_the_list_is_noticed(standin: Standin) -> None:
    standin.listing = lambda _: (200, listed(ALL, Id=""))
    load(opened())
    changed = file_of({"c": ("F32", [2])})
    standin.files["part/model.safetensors"] = changed
    again = [one for one in ALL if one["Path"] != "part/model.safetensors"]
    again.append(told("part/model.safetensors", changed, Sha256=""))
    standin.listing = lambda _: (200, listed(again, Id=""))

    assert ["c"] == list(load(opened("ms://org/model/part")).table.names)


def test_the_token_goes_to_its_origin_alone(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "secret-1")
    load(opened())
    sent = {(path[:7], headers.get("authorization")) for path, _, headers in standin.asked}

    assert {("/api/v1", "Bearer secret-1"), ("/store/", None)} == sent
    standin.asked.clear()
    opened(anonymous=True)
    assert [None] == [headers.get("authorization") for _, _, headers in standin.asked]


def refusal(code: int, message: str = "") -> bytes:
    return json.dumps({"Code": code, "Message": message, "Success": False}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "message", "hint"),
    [
        (
            404,
            refusal(10010205001, "record not found"),
            SourceNotFound,
            "has no model",
            "API_TOKEN",
        ),
        (404, b"", SourceNotFound, "has no model of this name, or it is private", "check the name"),
        (200, refusal(10010205001), SourceNotFound, "has no model", "API_TOKEN"),
        (404, refusal(10010200001), SourceRefused, "is private, or its terms", "API_TOKEN"),
        (403, b"<html>", SourceRefused, "is private, or its terms", "API_TOKEN"),
        (
            404,
            refusal(10990101004),
            SourceNotFound,
            "no revision is called v1",
            "/models/org/model",
        ),
        (404, refusal(10010205001, "Error 1461: x"), SourceUnreachable, "overloaded", "later"),
        (200, refusal(7), SourceUnreachable, "answers 200, code 7", "MODELSCOPE_ENDPOINT"),
        (418, b"[]", SourceUnreachable, "answers 418", "MODELSCOPE_ENDPOINT"),
        (418, b"\xff", SourceUnreachable, "answers 418", "MODELSCOPE_ENDPOINT"),
        (200, b"<html>", SourceUnreachable, "answer is no JSON", "MODELSCOPE_ENDPOINT"),
        (200, b"[]", SourceUnreachable, "answer is no JSON object", "MODELSCOPE_ENDPOINT"),
        (200, b'{"Data": []}', SourceUnreachable, "tells no list of files", "MODELSCOPE_ENDPOINT"),
        (200, b"[" * 99_999, SourceUnreachable, "answer is no JSON", "MODELSCOPE_ENDPOINT"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_refusal_is_an_error_with_a_way_out(
    standin: Standin, status: int, body: bytes, kind: type[SourceError], message: str, hint: str
) -> None:
    standin.listing = lambda _: (status, body)
    with pytest.raises(kind) as caught:
        opened("ms://org/model@v1")

    assert caught.value.message.startswith("org/model: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_with_a_token_the_way_out_is_to_ask_for_access(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "secret-1")
    standin.listing = lambda _: (404, refusal(10010200001))
    with pytest.raises(SourceRefused) as caught:
        opened()

    assert f"ask for access at {standin.url}/models/org/model" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, refusal(10010205001), SourceNotFound, "lists it and has it not (404)"),
        (404, refusal(10010200001), SourceRefused, "is private, or its terms"),
        (451, b"", SourceUnreachable, "answers 451"),
    ],
)
def test_a_file_that_is_refused_is_named(
    standin: Standin, status: int, body: bytes, kind: type[SourceError], message: str
) -> None:
    standin.refusal = (status, body)
    with pytest.raises(kind) as caught:
        load(opened(f"ms://org/model/{ONE}"))

    assert caught.value.message.startswith(f"{ONE}: ")
    assert message in caught.value.message


def test_nothing_of_an_entry_is_believed_unseen(standin: Standin) -> None:
    odd: list[Any] = [
        told("ok.json", b"{}"),
        told("ok.json", b"{}", Size=99),
        told("/etc/passwd.json", b""),
        told("a/../../x.json", b""),
        told("b.json", b"", Size=-1),
        told("c.json", b"", Size="12"),
        told("d.json", b"", Size=True),
        told("e.json", b"{}", Sha256="../../x"),
        told("f.json", b"{}", Sha256=hashlib.sha256(b"{}").hexdigest().upper()),
        told("sub", b"", Type="commit"),
        told("1/2/3/4/deep.json", b""),
        {"Path": 7},
        "text",
        None,
    ]
    standin.listing = lambda _: (200, listed(odd))
    entries = {entry.path: entry for entry in opened().files()}

    unsafe = ("/etc/passwd", "a/../../x")
    assert {f"{name}.json" for name in ("ok", *unsafe, *"bcdef")} == entries.keys()
    assert 2 == entries["ok.json"].size
    assert all(entries[f"{name}.json"].problem for name in (*unsafe, *"bcd"))
    assert entries["e.json"].digest is None
    assert hashlib.sha256(b"{}").hexdigest() == entries["f.json"].digest


def test_a_file_of_another_size_than_listed_is_an_error(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.web.FIRST_PAUSE", 0.01)
    lying = [{**one, "Size": 30} if one["Path"] == "config.json" else one for one in ALL]
    standin.listing = lambda _: (200, listed(lying))

    with pytest.raises(SourceUnreachable, match=r"config\.json: .*30"):
        load(opened())


def test_a_list_that_is_cut_is_completed_folder_by_folder(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CUT", 4)

    def pages(query: dict[str, str]) -> tuple[int, object]:
        root, below = query.get("Root", ""), []
        for one in entries:
            path = one["Path"]
            if path.startswith(f"{root}/" if root else ""):
                rest = path[len(root) + 1 :] if root else path
                if query["Recursive"] == "True" or "/" not in rest:
                    below.append(one)
        return 200, listed(below[:4])

    entries = [{"Path": name, "Type": "tree"} for name in ("a", ".git", "b")]
    entries += [told(f"{name}/{n}.json", b"{}") for name in ("a", ".git", "b") for n in range(3)]
    standin.listing = pages
    found = {entry.path for entry in opened().files()}

    assert {f"{name}/{n}.json" for name in "ab" for n in range(3)} == found
    assert ["", "", "a", "b"] == [q.get("Root", "") for q in standin.queries("/repo/files")]
    standin.asked.clear()
    opened("ms://org/model/b")
    assert ["", "b"] == [q.get("Root", "") for q in standin.queries("/repo/files")]
    entries[:] = [told(f"{n}.json", b"{}") for n in range(9)]
    with pytest.raises(SourceUnreadable, match="lists no more"):
        opened("ms://org/model@v2")


def test_more_than_a_checkpoint_has_is_an_error(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_FILES", 3)
    with pytest.raises(SourceUnreadable, match="org/model: more than 3 files"):
        opened()
    folders = [{"Path": f"{n}", "Type": "tree"} for n in (1, ".git", "../up", 2)]
    standin.listing = lambda query: (200, listed(folders if query["Recursive"] == "False" else ALL))
    monkeypatch.setattr(listing, "CUT", 5)
    monkeypatch.setattr(listing, "MAX_FOLDERS", 2)
    with pytest.raises(SourceUnreadable, match="org/model: more than 2 folders"):
        opened()


def test_a_weight_file_of_no_size_is_asked_for_it(standin: Standin) -> None:
    standin.listing = lambda _: (200, listed([told(ONE, FILES[ONE], Size=0)]))

    assert [len(FILES[ONE])] == [one.file_size for one in load(opened()).table.shards]


def test_a_redirect_to_nowhere_is_the_servers_fault(standin: Standin) -> None:
    standin.store = "ftp://elsewhere"
    with pytest.raises(SourceUnreachable, match="redirects to no http address") as caught:
        load(opened(f"ms://org/model/{ONE}"))

    assert "or a proxy before it is set up wrong" in caught.value.hint


@pytest.mark.parametrize(
    "spec",
    ["ms://", "ms://org", "ms://org/..", "ms://org/a b", "ms://hf://org/model", "ms://a/b/../c"],
)
def test_what_names_no_model_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        opened(spec)


def test_a_model_is_no_dataset_and_has_one_revision() -> None:
    with pytest.raises(UsageError, match="is a model, no dataset"):
        opened(repo_type="dataset")
    with pytest.raises(UsageError, match="v1 is named in the source, v2 by --revision"):
        opened("ms://org/model@v1", revision="v2")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, DEFAULT_ENDPOINT),
        ({"MODELSCOPE_DOMAIN": "www.modelscope.ai"}, "https://www.modelscope.ai"),
        (
            {"MODELSCOPE_ENDPOINT": "http://host:1/", "MODELSCOPE_DOMAIN": "x"},
            "http://host:1",
        ),
    ],
    ids=["default", "domain", "endpoint"],
)
def test_the_endpoint_is_that_of_the_client(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert expected == endpoint()


def test_an_endpoint_that_is_none_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "https://")
    with pytest.raises(UsageError, match="MODELSCOPE_ENDPOINT is no http address"):
        opened()
