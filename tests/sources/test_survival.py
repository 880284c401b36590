"""What servers and nets do to a reading: each fault either passes unnoticed or ends in a line.

Whatever happens, the facts are those of the whole checkpoint or there are none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from ckptscan.errors import SourceError, SourceNotFound, SourceUnreachable
from ckptscan.sources.access import Silence
from tests.conftest import file_of, index_of
from tests.sources.conftest import SHARDS, TENSORS, heads, read, shard, three
from tests.standin import (
    HOSTILE,
    Standin,
    blob_of,
    limited,
    repository_of_files,
    retry_after,
    retry_after_date,
)

Setup = Callable[[Standin], object]


def fault(name: str, value: object = None, **where: object) -> Setup:
    return lambda standin: standin.faults.on(name, value, **where)


def both(*setups: Setup) -> Setup:
    return lambda standin: [setup(standin) for setup in setups]


PASSES = {
    "the server ignores ranges": fault("ignore_range"),
    "no Content-Range": fault("wrong_content_range", "missing"),
    "a Content-Range of nonsense": fault("wrong_content_range", "garbage"),
    "a Content-Range without a total": fault("wrong_content_range", "unknown"),
    "two bodies that are short": fault("short_body", 20, stage="cdn", times=2),
    "two connections that are reset": fault("reset", 20, stage="cdn", times=2),
    "fewer bytes than asked for": fault("lying_length", 20),
    "429, and how long to wait": fault("status", retry_after(429, 1), times=1),
    "503, and until when to wait": fault("status", retry_after_date(503, 1), stage="api", times=1),
    "500, then fine": fault("status", 500, stage="cdn", times=2),
    "408, then fine": fault("status", 408, stage="resolve", times=1),
    "ranges that are compressed unasked": fault("gzip", "range"),
    "signed addresses that have run out": fault("expired_url", 0, times=SHARDS),
    "signed addresses that are good once": fault("expired_url", 1),
    "a redirect to a third origin": fault("redirect_evil"),
    "redirects that are relative": fault("redirect_relative"),
    "a mirror that serves files itself": fault("direct"),
    "a branch that moves between two calls": fault("move_branch"),
    "a mirror without sizes": fault("no_sizes"),
    "a mirror that tells sizes in the tree alone": fault("no_blobs"),
    "a mirror without sizes and without a tree": both(fault("no_sizes"), fault("tree_error", 404)),
    "no sizes, no ranges, no redirects": both(
        fault("no_sizes"), fault("direct"), fault("ignore_range")
    ),
    "sizes that no file has": fault("bad_json", "huge"),
    "a cookie": fault("set_cookie"),
}


@pytest.mark.parametrize("setup", PASSES.values(), ids=PASSES)
def test_a_fault_that_passes_leaves_the_whole(
    setup: Setup, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.web.FIRST_PAUSE", 0.01)
    setup(standin)

    found = read()

    assert SHARDS * TENSORS == len(found.table)
    assert found.is_sound
    assert not found.incomplete
    assert "LlamaForCausalLM" == found.config.architecture


ENDS: dict[str, tuple[Setup, Sequence[str]]] = {
    "another range than asked for": (
        fault("wrong_content_range", "start"),
        [".safetensors", "it sends another range"],
    ),
    "another size than listed": (
        fault("wrong_content_range", "total"),
        [".safetensors", "bytes are listed, the file served has"],
    ),
    "416 for a range that is there": (
        fault("status", 416, stage="cdn"),
        [".safetensors", "past the end (416)"],
    ),
    "404 where a redirect leads": (
        fault("status", 404, stage="cdn"),
        [".safetensors", "what it redirects to is refused (404)"],
    ),
    "a listed file that is not there": (
        fault("status", 404, stage="resolve", path=shard(2)),
        [shard(2), "lists it and has it not (404)"],
    ),
    "ranges of a compressed file": (fault("gzip", "file"), [".safetensors"]),
    "signed addresses that never work": (
        fault("expired_url", 0),
        [".safetensors", "what it redirects to is refused (403)"],
    ),
    "redirects in a circle": (fault("redirect_loop"), ["it redirects in a circle"]),
    "a redirect without an address": (fault("redirect_to"), ["it redirects to nowhere"]),
    "a redirect to ftp": (fault("redirect_to", "ftp://x/y"), ["to no http address"]),
    "a redirect to a file": (fault("redirect_to", "file:///etc/passwd"), ["to no http address"]),
    "a redirect to no host": (fault("redirect_to", "http://[::bad"), ["to no http address"]),
    "a wait that is too long": (
        fault("status", limited(300), stage="resolve"),
        ["too many requests (429)", "asks to wait 301 s"],
    ),
    "a portal's page for everything": (fault("html_200"), ["org/x", "its answer is no JSON"]),
    "a list cut short": (fault("bad_json", "truncated"), ["its answer is no JSON"]),
    "a list of lists": (fault("bad_json", "list"), ["does not tell the commit"]),
    "a list of nothing": (fault("bad_json", "nulls"), ["does not tell the commit"]),
    "numbers without end": (fault("bad_json", "digits"), ["its answer is no JSON"]),
    "nested without end": (fault("bad_json", "deep"), ["its answer is no JSON"]),
    "values of other types": (fault("bad_json", "types"), ["does not tell the commit"]),
    "an empty answer": (fault("bad_json", "empty"), ["its answer is no JSON"]),
    "a file of another size than listed": (
        lambda standin: standin.faults.on("other_size", 7, path="config.json"),
        ["config.json", "bytes come"],
    ),
}


@pytest.mark.parametrize(("setup", "words"), ENDS.values(), ids=ENDS)
def test_a_fault_that_stays_is_told_in_a_line(
    setup: Setup, words: Sequence[str], standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.web.FIRST_PAUSE", 0.01)
    setup(standin)

    with pytest.raises(SourceError) as caught:
        read()
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    assert 3 == caught.value.exit_code


SLOW = {
    "bytes stop coming": fault("stall", 20, stage="cdn"),
    "nothing is answered": fault("stall_before", stage="api"),
    "bytes trickle in": fault("drip", 0.05, stage="cdn"),
    "it fails and fails": fault("status", 503, stage="api"),
}


@pytest.mark.parametrize("setup", SLOW.values(), ids=SLOW)
def test_the_timeout_bounds_the_whole_reading(setup: Setup, standin: Standin) -> None:
    setup(standin)
    start = time.monotonic()

    with pytest.raises(SourceUnreachable, match=r"not done within 0\.4 seconds") as caught:
        read(timeout=0.4)
    assert time.monotonic() - start < 5
    assert "--timeout" in caught.value.hint


def test_a_server_that_ignores_ranges_is_not_read_further_than_the_header(
    standin: Standin,
) -> None:
    head = three()[shard(1)]
    large = blob_of("model.safetensors", head, 1 << 30)
    standin.add(repository_of_files("org/large", {"model.safetensors": large}))
    standin.faults.on("ignore_range")

    found = read("org/large")

    assert 1 << 30 == found.files[0].size
    assert TENSORS == len(found.table)
    assert standin.body_bytes("*.safetensors") < 50 << 20  # what the kernel's buffers took


class Ear(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.slow
def test_a_wait_that_the_server_asks_for_is_told_once(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.web.NOTED", 0.5)
    ear = Ear()
    standin.faults.on("status", limited(0), stage="resolve", times=1)

    found = read(watch=ear)

    assert SHARDS * TENSORS == len(found.table)
    host = standin.endpoint.removeprefix("http://")
    assert [f"{host}: too many requests (429): waiting 1 s, as the server asks"] == ear.said


def test_an_index_that_leads_outside_is_refused_before_any_request(standin: Standin) -> None:
    names = ["../x.safetensors", "/etc/x.safetensors", "http://evil/x.safetensors", "C:\\x"]
    files = three()
    index = files["model.safetensors.index.json"]
    for number, name in enumerate(names):
        index = index.replace(shard(1).encode(), name.replace("\\", "\\\\").encode(), 10 - number)
    standin.add(repository_of_files("org/escape", files | {"model.safetensors.index.json": index}))

    found = read("org/escape")

    escapes = [fault.message for _, fault in found.faults if fault.kind == "index-path-escapes"]
    assert len(names) == len(escapes)
    assert found.incomplete
    known = {*files, "org/escape"}
    assert known >= {request.file for request in standin.requests}


def test_a_weight_file_of_an_unsafe_name_is_told_and_never_asked_for(standin: Standin) -> None:
    standin.faults.on("siblings", HOSTILE)

    found = read()
    assert SHARDS * TENSORS == len(found.table)
    assert found.incomplete
    assert not found.is_sound
    unsafe = [name for name in HOSTILE if name.endswith(".safetensors")]
    assert len(unsafe) == sum(fault.kind == "unsafe-file-name" for _, fault in found.faults)
    assert {*three(), "org/x"} >= {request.file for request in standin.requests}


def test_an_index_that_names_nothing_inside_is_told_beside_what_is_there(
    standin: Standin,
) -> None:
    files = {
        "model.safetensors": three()[shard(1)],
        "other.safetensors.index.json": index_of({"a": "../x.safetensors"}),
    }
    standin.add(repository_of_files("org/beside", files))

    found = read("org/beside")
    assert not found.is_sound
    assert ["index-path-escapes", "index-stale"] == [fault.kind for _, fault in found.faults]


def test_a_shard_that_is_not_listed_makes_the_checkpoint_incomplete(standin: Standin) -> None:
    files = three()
    del files[shard(2)]
    standin.add(repository_of_files("org/part", files))

    found = read("org/part")

    assert (shard(2),) == found.missing
    assert found.incomplete


@pytest.mark.slow
def test_a_rate_limit_slows_a_reading_and_does_not_end_it(standin: Standin) -> None:
    standin.faults.on("status", retry_after(429, 0), stage="cdn", times=12)

    assert SHARDS * TENSORS == len(read().table)


def test_a_refused_shard_is_named(standin: Standin) -> None:
    standin.faults.on("status", 401, stage="resolve", path=shard(2))

    with pytest.raises(SourceError, match=rf"{shard(2)}: .* refuses it \(401\)"):
        read()


@pytest.mark.slow
def test_ten_thousand_shards_are_read(standin: Standin) -> None:
    shards = {
        f"model-{n:05}-of-10000.safetensors": file_of({f"a.{n}.w": ("BF16", [4, 4])})
        for n in range(1, 10_001)
    }
    standin.add(repository_of_files("org/many", shards))

    assert 10_000 == len(read("org/many", timeout=300).table)
    assert 20_001 == len(standin.requests)


def test_files_without_a_byte_are_not_asked_for(standin: Standin) -> None:
    shards = {f"a/{n:05}.safetensors": b"" for n in range(300)}
    standin.add(repository_of_files("org/many", shards))

    found = read("org/many")

    assert 300 == len(found.files)
    assert 1 == standin.count(origin="hub")


def test_one_request_each_where_a_mirror_serves_files_itself(standin: Standin) -> None:
    standin.faults.on("direct")

    read()

    assert 2 * SHARDS >= standin.count(file="*.safetensors")
    assert heads() * 1.25 + 8 * SHARDS >= standin.body_bytes("*.safetensors")


def test_an_absent_repository_is_not_found(standin: Standin) -> None:
    with pytest.raises(SourceNotFound, match="has no model of this name, or it is private"):
        read("org/nothing")
