"""Where files of the Hub are stored: what is asked, of whom, with which token, and what is not.

All of it against the stand-in, which follows the public documents; the live service was not tried.
"""

from __future__ import annotations

import itertools
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ckptscan.content.stored import Side, whereabouts
from ckptscan.content.xet import Stretch, Whereabouts
from ckptscan.sources import Access, open_source
from ckptscan.sources.crew import CREW
from ckptscan.sources.hub.cas import _checked_url
from ckptscan.sources.hub.reconstruction import Unsound
from ckptscan.sources.hub.xet import FORBIDDEN, NO_ID
from ckptscan.sources.terms import UNTOLD, Doubt, Terms, read_borders, read_terms
from tests.conftest import framed
from tests.standin import Repository, Standin, blob_of, repository_of_files, retry_after
from tests.standin.chunks import LARGEST

pytestmark = pytest.mark.slow

TENSOR = 700_000  # bytes
TENSORS = [random.Random(number).randbytes(TENSOR) for number in range(4)]
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
WHOLE = "model.safetensors"
SPARSE = 20 << 30


def weights(tensors: Sequence[bytes], prefix: str = "") -> bytes:
    """A file of these tensors, named by their numbers."""
    entries = {
        f"{prefix}{at}.weight": {
            "dtype": "U8",
            "shape": [TENSOR],
            "data_offsets": [at * TENSOR, (at + 1) * TENSOR],
        }
        for at in range(len(tensors))
    }
    return framed(json.dumps(entries), b"".join(tensors))


def start(content: bytes, number: int) -> int:
    """Where a tensor begins in a file of `weights`."""
    return 8 + int.from_bytes(content[:8], "little") + number * TENSOR


OLD = {WHOLE: weights(TENSORS), "config.json": b"{}"}
NEW = {FIRST: weights(TENSORS[1:3], "x."), SECOND: weights([TENSORS[0], bytes(TENSOR)], "y.")}


@pytest.fixture
def standin(caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standin]:
    """The stand-in with a model, org/old, and its descendant, org/new."""
    repositories = repository_of_files("org/old", OLD), repository_of_files("org/new", NEW)
    with Standin(*repositories) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def told(spec: str, *paths: str, **options: object) -> dict[str, Terms]:
    """The terms of files, by their paths."""
    access = Access(**{"timeout": 20.0, **options})  # type: ignore[arg-type]
    return dict(read_terms(open_source(spec, access), paths))


def asked(standin: Standin, origin: str = "cas") -> list[str]:
    """The last segments of what was asked of an origin."""
    return [request.path.rpartition("/")[2] for request in standin.asked(origin)]


def compared(old: int, path: str, new: int) -> tuple[Stretch, Stretch]:
    """A tensor of org/old and one of org/new."""
    at, there = start(OLD[WHOLE], old), start(NEW[path], new)
    return Stretch(("a", WHOLE), at, at + TENSOR), Stretch(("b", path), there, there + TENSOR)


def is_proved(places: Whereabouts, pair: tuple[Stretch, Stretch]) -> bool:
    """Whether two tensors are proved equal, but for the chunks that they share with others."""
    a, b = (one._replace(start=one.start + LARGEST, end=one.end - LARGEST) for one in pair)
    return places.proves_equal(a, b)


PAIRS = [
    compared(1, FIRST, 0),
    compared(2, FIRST, 1),
    compared(0, SECOND, 0),
    compared(0, FIRST, 0),
    compared(3, SECOND, 1),
]


def sides(**options: object) -> tuple[Side, Side]:
    access = Access(**{"timeout": 20.0, **options})  # type: ignore[arg-type]
    return (
        Side(open_source("org/old", access), [WHOLE]),
        Side(open_source("org/new", access), [FIRST, SECOND]),
    )


def test_tensors_are_proved_equal_in_other_files_under_other_names(standin: Standin) -> None:
    """Three requests for a source, one for a file, few for chunks; and no byte of a tensor."""
    places, problems = whereabouts(*sides(), PAIRS)

    assert {} == problems
    assert [True, True, True, False, False] == [is_proved(places, pair) for pair in PAIRS]
    at, there = start(OLD[WHOLE], 1), start(NEW[FIRST], 0)
    parts = places.unproved(
        Stretch(("a", WHOLE), at, at + 2 * TENSOR), Stretch(("b", FIRST), there, there + 2 * TENSOR)
    )
    assert sum(end - begin for begin, end in parts) < 2 * LARGEST  # the chunks at both ends
    assert 2 * 3 == standin.count("hub")  # a list of files, their ids, a token
    assert 3 + 3 >= standin.count("cas")
    assert 0 == standin.count("cdn")


def test_what_terms_alone_do_not_link_is_asked_for_and_kept(standin: Standin) -> None:
    """Both borders of a part lie within one term: one chunk tells where the part begins."""
    alone, _ = whereabouts(*sides())
    before = standin.count("cas")
    places, _ = whereabouts(*sides(), PAIRS[:1])

    assert [False, True] == [is_proved(known, PAIRS[0]) for known in (alone, places)]
    (question,) = [one for one in standin.asked("cas")[before:] if one.range]
    first, last = str(question.range).removeprefix("bytes=").split("-")
    assert first == last
    standin.clear()
    again, _ = whereabouts(*sides(offline=True), PAIRS[:1])
    assert is_proved(again, PAIRS[0])
    assert [] == standin.requests


@pytest.mark.parametrize(
    ("fault", "value"), [("cas_untrimmed", None), ("cas_answer", "texts"), ("status", 404)]
)
def test_chunks_that_are_not_told_leave_what_was_known(
    standin: Standin, fault: str, value: object
) -> None:
    alone, _ = whereabouts(*sides())
    standin.faults.on(fault, value, stage="cas")

    places, problems = whereabouts(*sides(), PAIRS)
    assert {} == problems
    assert not places.contradicted
    assert not is_proved(places, PAIRS[0])
    assert is_proved(places, PAIRS[2]) == is_proved(alone, PAIRS[2])


def test_a_server_that_stalls_over_chunks_costs_no_proof(standin: Standin) -> None:
    whereabouts(*sides())
    standin.faults.on("stall_before", stage="cas")

    places, problems = whereabouts(*sides(timeout=1.0), PAIRS)
    assert {} == problems
    assert not is_proved(places, PAIRS[0])


def test_a_second_time_nothing_is_asked(standin: Standin) -> None:
    before = told("org/new", FIRST, SECOND)
    standin.clear()

    commit = f"org/new@{repository(standin).head}"
    assert before == told("org/new", FIRST, SECOND, offline=True) == told(commit, FIRST, SECOND)
    assert [] == standin.requests


def repository(standin: Standin, name: str = "org/new") -> Repository:
    found = standin.repository("model", name)
    assert found is not None
    return found


def test_terms_are_kept_by_what_is_in_a_file(standin: Standin) -> None:
    """Another revision with the same file: its ids and a token that is not needed."""
    told("org/new", FIRST)
    repository(standin).commit({**NEW, SECOND: NEW[FIRST]})
    standin.clear()

    assert told("org/new", SECOND)[SECOND].is_whole
    assert 0 == standin.count("cas")
    assert ["revision", "tree"] == [one.path.split("/")[5] for one in standin.asked("hub")]


def test_where_requests_are_forbidden_the_reason_is_told(standin: Standin) -> None:
    told("org/new")

    found = told("org/new", FIRST, offline=True)
    assert FORBIDDEN == found[FIRST].problem


def test_each_token_goes_where_it_is_for(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_standin")
    repository(standin).gated = "manual"
    found = told("org/new", FIRST, SECOND)
    sent = {
        origin: {one.headers.get("authorization", "") for one in standin.asked(origin)}
        for origin in ("hub", "cas", "cdn", "evil")
    }

    assert all(terms.is_whole for terms in found.values())
    assert {
        "hub": {"Bearer hf_standin"},
        "cas": {"Bearer xet_standin_0"},
        "cdn": set(),
        "evil": set(),
    } == sent


def test_who_may_not_read_the_files_gets_no_token(standin: Standin) -> None:
    repository(standin).gated = "manual"

    found = told("org/new", FIRST, SECOND)
    assert {"where it is stored: refuses it (401)"} == {one.problem for one in found.values()}
    assert 1 == sum("xet-read-token" in one.path for one in standin.requests)
    assert 0 == standin.count("cas")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://xet.example", "not asked over https"),
        ("ftp://xet.example", "no http address"),
        ("https://", "no http address"),
        ("https://[bad", "no http address"),
        ("https://user:pw@xet.example", "more than a server"),
        ("https://xet.example/?a=b", "more than a server"),
        ("https://xet.example#a", "more than a server"),
        ("https://xet.example\\@evil", "more than a server"),
        ("https://xet.example\r\nX: y", "names no server"),
        ("https://" + "x" * 3000, "names no server"),
        (7, "names no server"),
        (None, "names no server"),
    ],
)
def test_a_server_that_is_none_is_not_asked(standin: Standin, url: object, reason: str) -> None:
    standin.faults.on("cas_url", url)

    problem = told("org/new", FIRST)[FIRST].problem
    assert problem is not None
    assert reason in problem
    assert 0 == standin.count("cas")


def test_plain_http_is_for_what_is_tried_out_on_this_machine() -> None:
    """A server elsewhere may send nobody to this machine, nor away from https."""
    local, elsewhere = "http://127.0.0.1:9", "http://mirror.example"
    assert local == _checked_url(f"{local}/", "http://localhost:8")
    assert "https://xet.example" == _checked_url("https://xet.example", elsewhere)
    for url, endpoint in [
        (local, elsewhere),
        (local, "https://127.0.0.1"),
        (elsewhere, elsewhere),
        (elsewhere, local),
    ]:
        with pytest.raises(Unsound):
            _checked_url(url, endpoint)


def test_a_strange_server_sees_no_token_of_the_hub(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_standin")
    standin.faults.on("cas_url", standin.evil)

    found = told("org/new", FIRST, SECOND)
    assert {False} == {one.is_whole for one in found.values()}
    sent = {one.headers.get("authorization", "") for one in standin.asked("evil")}
    assert all(one.startswith("Bearer xet_standin_") for one in sent)


def test_a_redirect_takes_no_token_along(standin: Standin) -> None:
    """To another origin, as a signed address would."""
    target = f"{standin.evil}/plain/x"
    standin.faults.on("status", (307, {"Location": target}), stage="cas")

    found = told("org/new", FIRST)
    assert not found[FIRST].is_whole
    assert {None} == {one.headers.get("authorization") for one in standin.asked("evil")}
    assert 0 < standin.count("evil")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        None,
        7,
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"casUrl": "https://x.example", "accessToken": ' + b'"x"' * 9 + b"}",
        {"casUrl": "https://x.example"},
        {"casUrl": "https://x.example", "accessToken": 7},
        {"casUrl": "https://x.example", "accessToken": ""},
        {"casUrl": "https://x.example", "accessToken": "a\r\nb"},
        {"casUrl": "https://x.example", "accessToken": "\u00e9"},
        {"casUrl": "https://x.example", "accessToken": "x" * 64_001},
        b" " * 300_000,
    ],
)
def test_a_token_that_is_none_is_not_sent(standin: Standin, answer: object) -> None:
    standin.faults.on("cas_token", answer)

    found = told("org/new", FIRST, SECOND)
    assert {False} == {one.is_whole for one in found.values()}
    assert all(one.problem for one in found.values())
    assert 1 == sum("xet-read-token" in one.path for one in standin.requests)


def test_a_token_that_has_run_out_is_replaced(standin: Standin) -> None:
    standin.faults.on("cas_expired", 0, times=1)

    found = told("org/new", FIRST, SECOND)
    assert all(terms.is_whole for terms in found.values())
    assert 2 == sum("xet-read-token" in one.path for one in standin.requests)


def test_tokens_that_never_do_are_not_asked_for_without_end(standin: Standin) -> None:
    files = {f"{number}.safetensors": weights(TENSORS[:1], f"{number}") for number in range(40)}
    standin.add(repository_of_files("org/many", files))
    standin.faults.on("cas_expired", 0)

    found = told("org/many", *files)
    assert {False} == {one.is_whole for one in found.values()}
    assert 3 >= sum("xet-read-token" in one.path for one in standin.requests)


@pytest.mark.parametrize(
    "way",
    """truncated deep text list longer missing more many offset none names texts negative huge
    floats backwards ranges terms""".split(),
)
def test_terms_that_can_not_be_true_prove_nothing(standin: Standin, way: str) -> None:
    standin.faults.on("cas_answer", way, path=FIRST)

    found = told("org/new", FIRST, SECOND)
    assert found[SECOND].is_whole
    assert (False, ()) == (found[FIRST].is_whole, found[FIRST].segments)
    assert str(found[FIRST].problem).startswith("where it is stored: ")
    standin.faults.off()
    assert told("org/new", FIRST)[FIRST].is_whole  # nothing was kept of it


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418])
def test_a_refusal_is_of_one_file(standin: Standin, status: int) -> None:
    standin.faults.on("status", status, stage="cas", path=FIRST)

    found = told("org/new", FIRST, SECOND)
    assert found[SECOND].is_whole
    problem = str(found[FIRST].problem)
    assert f"({status})" in problem or "tokens that the Hub gives are refused" in problem


def test_a_server_that_is_not_there_is_not_asked_for_every_file(standin: Standin) -> None:
    files = {f"{number}.safetensors": weights(TENSORS[:1], f"{number}") for number in range(80)}
    standin.add(repository_of_files("org/many", files))
    standin.faults.on("status", retry_after(503, 1000), stage="cas")

    found = told("org/many", *files)
    assert len(files) == len(found)
    assert all("asks to wait 1,000 s" in str(one.problem) for one in found.values())
    assert standin.count("cas") <= CREW


def test_what_fails_by_chance_is_asked_again(standin: Standin) -> None:
    standin.faults.on("status", 503, stage="cas", times=1)

    assert told("org/new", FIRST)[FIRST].is_whole
    assert 2 == standin.count("cas")


def test_no_answer_in_time_is_told(standin: Standin) -> None:
    standin.faults.on("stall_before", stage="cas")

    found = told("org/new", FIRST, SECOND, timeout=1.0)
    assert all("not done within 1 seconds" in str(one.problem) for one in found.values())


def test_a_large_file_is_asked_for_in_parts(standin: Standin) -> None:
    blob = blob_of(WHOLE, OLD[WHOLE], SPARSE)
    standin.add(repository_of_files("org/large", {WHOLE: blob}))

    found = told("org/large", WHOLE)[WHOLE]
    bounds = [0, 8 << 30, 16 << 30, SPARSE]
    assert found.is_whole
    assert SPARSE >> 26 == len(found.segments)
    assert [f"bytes={start}-{end - 1}" for start, end in itertools.pairwise(bounds)] == [
        one.range for one in standin.asked("cas")
    ]


@pytest.mark.parametrize("fault", ["cas_whole", "cas_untrimmed", "cas_v2"])
def test_servers_answer_ranges_in_ways_of_their_own(
    standin: Standin, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob = blob_of(WHOLE, OLD[WHOLE], SPARSE + 5)
    standin.add(repository_of_files("org/large", {WHOLE: blob}))
    plain = told("org/large", WHOLE)[WHOLE]
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "another"))
    standin.clear()
    standin.faults.on(fault)

    found = told("org/large", WHOLE)[WHOLE]
    assert found.is_whole
    assert {"cas_whole": 1, "cas_untrimmed": 3, "cas_v2": 4}[fault] == standin.count("cas")
    assert Whereabouts({"a": plain, "b": found}).proves_equal(
        Stretch("a", 0, SPARSE), Stretch("b", 0, SPARSE)
    )


def test_an_answer_that_is_too_long_is_asked_for_in_smaller_parts(standin: Standin) -> None:
    blob = blob_of(WHOLE, OLD[WHOLE], 1 << 30)
    standin.add(repository_of_files("org/large", {WHOLE: blob}))
    standin.faults.on("cas_answer", "long", times=2)

    assert told("org/large", WHOLE)[WHOLE].is_whole
    assert 2 + 4 == standin.count("cas")
    standin.faults.on("cas_answer", "long")
    assert "bytes come" in str(told("org/new", FIRST)[FIRST].problem)


def test_files_that_are_not_stored_so(standin: Standin) -> None:
    found = told("org/old", WHOLE, "config.json", "none.safetensors", "../x")

    assert found[WHOLE].is_whole
    assert NO_ID == found["config.json"].problem
    assert "not listed" in str(found["none.safetensors"].problem)
    assert "not listed" in str(found["../x"].problem)


def test_a_hub_that_knows_no_xet(standin: Standin) -> None:
    standin.faults.on("no_xet")

    assert NO_ID == told("org/new", FIRST)[FIRST].problem
    assert not any("xet-read-token" in one.path for one in standin.requests)


@pytest.mark.parametrize("value", ["truncated", "list", "nulls", "deep", "text", "empty", "types"])
def test_a_tree_that_is_none(standin: Standin, value: str) -> None:
    source = open_source("org/new", Access(timeout=20.0))
    standin.faults.on("bad_json", value)

    found = dict(read_terms(source, [FIRST]))
    assert found[FIRST].problem
    assert 0 == standin.count("cas")


def test_a_tree_that_tells_of_another_file_is_not_believed(standin: Standin) -> None:
    source = open_source("org/new", Access(timeout=20.0))
    repository(standin).commits[repository(standin).head][FIRST] = blob_of(FIRST, OLD[WHOLE])

    found = dict(read_terms(source, [FIRST]))
    assert NO_ID == found[FIRST].problem


def test_an_error_of_the_tree_is_told(standin: Standin) -> None:
    source = open_source("org/new", Access(timeout=20.0))
    standin.faults.on("tree_error", 403)

    found = dict(read_terms(source, [FIRST]))
    assert "the Hub's list of files: refuses it (403)" == found[FIRST].problem


def test_files_in_folders(standin: Standin) -> None:
    files = {f"unet/{WHOLE}": OLD[WHOLE], f"vae/{WHOLE}": NEW[FIRST], "model_index.json": b"{}"}
    standin.add(repository_of_files("org/pipe", files, repo_type="dataset"))
    spec = "hf://datasets/org/pipe"

    found = told(spec, f"unet/{WHOLE}", f"vae/{WHOLE}")
    assert all(terms.is_whole for terms in found.values())
    assert found[f"vae/{WHOLE}"] == told(f"{spec}@main/vae", WHOLE)[WHOLE]


def test_ids_are_taken_from_what_huggingface_hub_keeps(standin: Standin, caches: Path) -> None:
    one = repository(standin)
    _keep_tree(caches, one)
    source = open_source("org/new", Access(timeout=20.0))
    standin.clear()

    found = dict(read_terms(source, [FIRST]))
    assert found[FIRST].is_whole
    assert [f"/api/models/org/new/xet-read-token/{one.head}"] == [
        request.path for request in standin.asked("hub")
    ]


def test_a_snapshot_on_disk_may_be_proved_equal_too(standin: Standin, caches: Path) -> None:
    one = repository(standin)
    _keep_tree(caches, one)
    above = caches / "huggingface" / "hub" / "models--org--new"
    snapshot = above / "snapshots" / one.head
    snapshot.mkdir(parents=True)
    for path, data in NEW.items():
        (snapshot / path).write_bytes(data)
    source = open_source(f"org/new@{one.head}", Access(timeout=20.0))

    found = dict(read_terms(source, [FIRST, "none"]))
    assert "hf-cache" == source.origin.kind
    assert found[FIRST].is_whole
    assert "not listed" in str(found["none"].problem)
    assert 0 == standin.count("cdn")
    at = found[FIRST].size // 2
    ((path, more),) = read_borders(source, [Doubt(FIRST, found[FIRST], (at,))])
    assert (FIRST, 2) == (path, len(more.borders))
    shutil.rmtree(snapshot)
    assert {FIRST: "it is not listed, or its size is not known"} == {
        path: one.problem for path, one in read_terms(source, [FIRST])
    }


def test_a_file_that_is_moved_to_xet_is_seen_the_next_time(standin: Standin) -> None:
    standin.faults.on("no_xet", times=1)

    assert [False, True] == [told("org/new", FIRST)[FIRST].is_whole for _ in range(2)]


def _keep_tree(caches: Path, one: Repository) -> None:
    """The list of a commit's files, as huggingface_hub 2 keeps it."""
    trees = caches / "huggingface" / "hub" / "models--org--new" / "trees"
    trees.mkdir(parents=True)
    files = {
        path: {"size": blob.size, "blob_id": blob.oid, "xet_hash": blob.file_id}
        for path, blob in one.commits[one.head].items()
    }
    (trees / f"{one.head}.json").write_text(json.dumps({"format_version": 1, "files": files}))


def test_what_is_kept_and_damaged_is_asked_for_again(standin: Standin, caches: Path) -> None:
    told("org/new", FIRST)
    for kept in (caches / "ckptscan" / "terms").rglob("*"):
        if kept.is_file():
            kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    standin.clear()

    assert told("org/new", FIRST)[FIRST].is_whole
    assert [blob_of(FIRST, NEW[FIRST]).file_id] == asked(standin)


def test_a_folder_on_disk_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / WHOLE).write_bytes(OLD[WHOLE])

    assert UNTOLD == told(str(tmp_path), WHOLE)[WHOLE].problem


def test_chunks_are_asked_of_files_that_are_known(standin: Standin) -> None:
    """None of a file whose id is not known; none at all once the server fails."""
    source = open_source("org/new", Access(timeout=20.0))
    found = dict(read_terms(source, [FIRST]))[FIRST]
    before = standin.count("cas")

    assert [] == list(read_borders(source, [Doubt(SECOND, found, (9,))]))
    assert [] == list(read_borders(source, [Doubt("none", found, (9,))]))
    assert before == standin.count("cas")
    standin.faults.on("status", retry_after(503, 1000), stage="cas")
    assert [] == list(read_borders(source, [Doubt(FIRST, found, tuple(range(100)))]))
    assert standin.count("cas") <= before + CREW


def test_nothing_is_asked_where_nobody_wants_to_know(standin: Standin) -> None:
    source = open_source("org/new", Access(timeout=20.0))
    standin.clear()

    assert {} == dict(read_terms(source, []))
    assert [] == standin.requests
