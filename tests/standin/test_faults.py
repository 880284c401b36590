"""Each fault of the stand-in is what it says, and comes as often as it says."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.conftest import file_of
from tests.standin import (
    HOSTILE,
    Standin,
    blob_of,
    limited,
    repository_of_files,
    retry_after,
    retry_after_date,
)
from tests.standin.ask import Got, ask, bytes_of
from tests.standin.faults import KNOWN

FIRST = file_of({"a": ("BF16", [4, 4]), "b": ("F32", [2])})
SIZE = len(FIRST)
HUGE = 689_000_000_000


@pytest.fixture
def standin() -> Iterator[Standin]:
    repository = repository_of_files(
        "org/toy",
        {
            "model.safetensors": FIRST,
            "huge.safetensors": blob_of("huge.safetensors", FIRST, HUGE),
            "config.json": b"{}",
        },
    )
    with Standin(repository) as standin:
        yield standin


def info(standin: Standin) -> Got:
    return ask(f"{standin.endpoint}/api/models/org/toy?blobs=true")


def tree(standin: Standin) -> Got:
    return ask(f"{standin.endpoint}/api/models/org/toy/tree/main?recursive=true")


def resolve(standin: Standin, path: str = "model.safetensors") -> Got:
    return ask(f"{standin.endpoint}/org/toy/resolve/main/{path}")


def ranged(standin: Standin, path: str = "model.safetensors", span: str = "0-9") -> Got:
    return bytes_of(standin, "org/toy", path, Range=f"bytes={span}")


def test_every_fault_is_tested() -> None:
    files = (Path(__file__), Path(__file__).with_name("test_cas.py"))
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [] == [name for name in KNOWN if f'"{name}"' not in text]


def test_a_fault_comes_for_its_files_and_its_times(standin: Standin) -> None:
    switch = standin.faults.on("status", 503, path="model*", times=2, stage="cdn")
    seen = [
        ranged(standin, path).status for path in ("huge.safetensors", *["model.safetensors"] * 3)
    ]

    assert [206, 503, 503, 206] == seen
    assert 2 == switch.hits
    with pytest.raises(KeyError, match="no fault is called"):
        standin.faults.on("statos")


def test_latency_comes_before_each_answer(standin: Standin) -> None:
    standin.faults.latency = 0.05
    start = time.perf_counter()
    info(standin)

    assert 0.05 <= time.perf_counter() - start


def test_statuses_come_with_their_headers(standin: Standin) -> None:
    for value in (limited(7), retry_after(503, 2), retry_after_date(429, 60), 404):
        standin.faults.on("status", value, times=1, stage="resolve")
    seen = [resolve(standin) for _ in range(5)]

    assert [429, 503, 429, 404, 302] == [one.status for one in seen]
    assert '"resolvers";r=0;t=7' == seen[0].headers["ratelimit"]
    assert "2" == seen[1].headers["retry-after"]
    assert parsedate_to_datetime(seen[2].headers["retry-after"])


@pytest.mark.parametrize("name", ["stall_before", "drop"])
def test_there_may_be_no_answer(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("tests.standin.ask.TIMEOUT", 0.2)
    standin.faults.on(name)

    with pytest.raises((TimeoutError, http.client.RemoteDisconnected)):
        info(standin)


def test_a_portal_answers_everything(standin: Standin) -> None:
    standin.faults.on("html_200")

    for got in (info(standin), resolve(standin), ask(f"{standin.cdn}/x")):
        assert (200, b"<!doctype") == (got.status, got.body[:9])


def test_headers_may_be_huge_and_set_cookies(standin: Standin) -> None:
    standin.faults.on("set_cookie")
    assert "token=secret" in resolve(standin).headers["set-cookie"]
    assert "set-cookie" not in ranged(standin).headers

    standin.faults.on("huge_headers")
    with pytest.raises(http.client.LineTooLong):
        info(standin)


def test_a_range_may_be_ignored(standin: Standin) -> None:
    standin.faults.on("ignore_range")
    got = ranged(standin)

    assert (200, FIRST) == (got.status, got.body)
    assert "content-range" not in got.headers


def test_a_huge_file_is_streamed_until_the_client_has_enough(standin: Standin) -> None:
    standin.faults.on("ignore_range")
    host, _, path = resolve(standin, "huge.safetensors").headers["location"][7:].partition("/")
    with contextlib.closing(http.client.HTTPConnection(host)) as connection:
        connection.request("GET", f"/{path}", headers={"Range": "bytes=0-9"})
        with contextlib.closing(connection.getresponse()) as response:
            assert (200, HUGE) == (response.status, response.length)
            assert FIRST == response.read(SIZE)

    assert SIZE <= standin.body_bytes("huge*", "cdn") < 50_000_000


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("start", f"bytes 1-10/{SIZE}"),
        ("total", f"bytes 0-9/{SIZE + 1}"),
        ("unknown", "bytes 0-9/*"),
        ("garbage", "octets of some kind"),
        ("missing", None),
    ],
)
def test_content_range_may_be_wrong(standin: Standin, way: str, expected: str | None) -> None:
    standin.faults.on("wrong_content_range", way)
    got = ranged(standin)

    assert (206, expected) == (got.status, got.headers.get("content-range"))


@pytest.mark.parametrize("name", ["short_body", "reset", "stall"])
def test_a_body_may_end_early(standin: Standin, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.standin.ask.TIMEOUT", 0.5)
    standin.faults.on(name, 4)
    got = ranged(standin)

    assert (206, "10") == (got.status, got.headers["content-length"])
    assert not got.is_whole
    assert FIRST[:10].startswith(got.body)


def test_a_range_may_be_answered_in_part(standin: Standin) -> None:
    standin.faults.on("lying_length", 3)
    got = ranged(standin)

    assert (FIRST[:7], "7") == (got.body, got.headers["content-length"])
    assert f"bytes 0-6/{SIZE}" == got.headers["content-range"]


def test_a_body_may_drip(standin: Standin) -> None:
    standin.faults.on("drip", 0.01)
    start = time.perf_counter()
    got = ranged(standin)

    assert FIRST[:10] == got.body
    assert 0.08 < time.perf_counter() - start


def test_a_body_may_be_zipped_unasked(standin: Standin) -> None:
    standin.faults.on("gzip", "range", times=1)
    standin.faults.on("gzip", "file")
    of_range, of_file = ranged(standin), ranged(standin)

    assert ["gzip"] * 2 == [one.headers["content-encoding"] for one in (of_range, of_file)]
    assert FIRST[:10] == gzip.decompress(of_range.body)
    assert b"\x1f\x8b" == of_file.body[:2]
    assert f"bytes 0-9/{len(gzip.compress(FIRST, 1))}" == of_file.headers["content-range"]


def test_a_file_may_have_another_size_than_is_listed(standin: Standin) -> None:
    standin.faults.on("other_size", -5)

    assert f"bytes 0-9/{SIZE - 5}" == ranged(standin).headers["content-range"]


def test_there_may_be_no_etag(standin: Standin) -> None:
    standin.faults.on("no_etag")
    location = resolve(standin)

    assert not {"etag", "x-linked-etag"} & location.headers.keys()
    assert "etag" not in ranged(standin).headers


def test_a_signed_address_may_expire(standin: Standin) -> None:
    standin.faults.on("expired_url", times=1)
    standin.faults.on("expired_url", 1, times=1)
    first, second, third = (resolve(standin).headers["location"] for _ in range(3))

    assert [403, 403] == [ask(first).status for _ in range(2)]
    assert [200, 403] == [ask(second).status for _ in range(2)]
    assert [200, 200] == [ask(third).status for _ in range(2)]
    assert b"<Error>" == ask(first).body[:7]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://x/y", "http://127.0.0.9:1/", None])
def test_a_redirect_may_lead_anywhere(standin: Standin, where: str | None) -> None:
    standin.faults.on("redirect_to", where)
    plain = standin.put("x", FIRST)

    assert (302, where) == (resolve(standin).status, resolve(standin).headers.get("location"))
    assert (302, where) == (ask(plain).status, ask(plain).headers.get("location"))


def test_a_redirect_may_lead_back(standin: Standin) -> None:
    standin.faults.on("redirect_loop")

    assert "/org/toy/resolve/main/model.safetensors" == resolve(standin).headers["location"]


def test_a_redirect_may_lead_to_who_listens(standin: Standin) -> None:
    standin.faults.on("redirect_evil")
    location = resolve(standin).headers["location"]
    got = ask(location, Authorization="Bearer hf_secret")

    assert location.startswith(standin.evil)
    assert FIRST == got.body
    assert ["Bearer hf_secret"] == [
        one.headers["authorization"] for one in standin.asked("evil", "model.*")
    ]


def test_a_redirect_may_be_relative_for_all(standin: Standin) -> None:
    standin.faults.on("redirect_relative")

    assert 307 == resolve(standin).status
    assert FIRST[:10] == ranged(standin).body
    assert 0 == standin.count("cdn")


def test_a_mirror_answers_directly(standin: Standin) -> None:
    standin.faults.on("direct")
    standin.faults.on("wrong_commit")
    got = ranged(standin)

    assert (206, FIRST[:10]) == (got.status, got.body)
    assert "bad0" * 10 == got.headers["x-repo-commit"]
    assert 1 == standin.count()


def test_xet_is_told_where_it_is_on(standin: Standin) -> None:
    standin.faults.on("xet")

    assert "xet-auth" in resolve(standin).headers["link"]
    assert "x-xet-hash" in resolve(standin).headers


def test_a_branch_may_move(standin: Standin) -> None:
    repository = standin.repository("model", "org/toy")
    assert repository is not None
    old = repository.head
    new = repository.commit({"config.json": b"[]"}, branch="next")
    standin.faults.on("move_branch", times=1)

    assert [old, new, new] == [info(standin).json["sha"] for _ in range(3)]


def test_lists_may_lack_sizes(standin: Standin) -> None:
    standin.faults.on("no_blobs", times=1)
    assert "size" not in info(standin).json["siblings"][0]
    assert "size" in tree(standin).json[0]

    standin.faults.on("no_sizes")
    assert "size" not in info(standin).json["siblings"][0]
    assert "size" not in tree(standin).json[0]


def test_a_tree_may_fail(standin: Standin) -> None:
    standin.faults.on("tree_error", 504)

    assert (504, 200) == (tree(standin).status, info(standin).status)


BAD = {
    "truncated": None,
    "list": list,
    "nulls": dict,
    "huge": dict,
    "types": dict,
    "text": None,
    "empty": None,
    "digits": None,
    "deep": None,
}


@pytest.mark.parametrize("way", BAD)
def test_json_may_be_bad(standin: Standin, way: str) -> None:
    standin.faults.on("bad_json", way)
    body, other = info(standin).body, tree(standin).body
    if kind := BAD[way]:
        assert isinstance(json.loads(body), kind)
    else:
        with pytest.raises((ValueError, RecursionError)):
            json.loads(body)
    assert (body == other) == (way in ("text", "empty", "deep"))


def test_names_may_be_hostile(standin: Standin) -> None:
    standin.faults.on("siblings", HOSTILE)
    names = [one["rfilename"] for one in info(standin).json["siblings"]]

    assert [*HOSTILE] == names[-len(HOSTILE) :]
    assert set(HOSTILE) - {""} <= {one["path"] for one in tree(standin).json}


def test_closing_does_not_wait_for_who_is_kept_waiting() -> None:
    start = time.perf_counter()
    with Standin(repository_of_files("org/toy", {"config.json": b"{}"})) as standin:
        standin.faults.on("stall_before")
        connection = http.client.HTTPConnection(standin.endpoint.removeprefix("http://"))
        connection.request("GET", "/api/models/org/toy")
    connection.close()

    assert 10 > time.perf_counter() - start
