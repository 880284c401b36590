"""Content that the stand-in stores by Xet: what a client that follows the documents would meet."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.standin import Standin, blob_of, repository_of_files
from tests.standin.ask import Got, ask
from tests.standin.chunks import LARGEST, SMALLEST, Store, cut, reconstruction

CONTENT = random.Random(1).randbytes(2 << 20)
EDITED = CONTENT[: 1 << 20] + b"new" + CONTENT[1 << 20 :]


@pytest.fixture
def standin() -> Iterator[Standin]:
    files = {"a.safetensors": CONTENT, "b.safetensors": EDITED, "config.json": b"{}"}
    repository = repository_of_files("org/toy", files)
    with Standin(repository, repository_of_files("org/other", files)) as standin:
        yield standin


def token(standin: Standin, repo_id: str = "org/toy") -> dict[str, Any]:
    url = f"{standin.endpoint}/api/models/{repo_id}/xet-read-token/main"
    return dict(ask(url, Authorization="Bearer hf_standin").json)


def told(standin: Standin, content: bytes = CONTENT, version: str = "v1", **headers: str) -> Got:
    url = f"{standin.cas}/{version}/reconstructions/{blob_of('a.safetensors', content).file_id}"
    return ask(url, **({"Authorization": f"Bearer {token(standin)['accessToken']}"} | headers))


def lengths(got: Got) -> int:
    return sum(term["unpacked_length"] for term in got.json["terms"])


@pytest.mark.slow
def test_chunks_are_cut_by_content() -> None:
    chunks, edited = list(cut(CONTENT)), list(cut(EDITED))
    few = len(set(edited) - set(chunks))

    assert CONTENT == b"".join(chunks)
    assert all(SMALLEST <= len(chunk) <= LARGEST for chunk in chunks[:-1])
    assert 10 < len(chunks)
    assert 1 <= few <= 3
    assert [LARGEST, LARGEST, 1] == [len(chunk) for chunk in cut(bytes(2 * LARGEST + 1))]
    assert [] == list(cut(b""))


@pytest.mark.slow
def test_a_chunk_is_stored_once() -> None:
    store = Store()
    blobs = [blob_of("a.safetensors", content) for content in (CONTENT, EDITED)]
    for blob in blobs:
        store.add(blob)
    before, after = (store.runs(blob) for blob in blobs)

    assert 1 == len(before)
    assert [before[0].xorb] * 2 == [after[0].xorb, after[-1].xorb]
    assert [0, len(EDITED)] == [after[0].first, sum(sum(run.sizes) for run in after)]


@pytest.mark.slow
def test_a_token_opens_the_terms_of_its_repository(standin: Standin) -> None:
    granted = token(standin)

    assert {"accessToken", "exp", "casUrl"} == granted.keys()
    assert (standin.cas, len(CONTENT)) == (granted["casUrl"], lengths(told(standin)))
    assert {"offset_into_first_range", "terms", "fetch_info"} == told(standin).json.keys()
    assert {"offset_into_first_range", "terms", "xorbs"} == told(standin, version="v2").json.keys()
    for wrong in ("", "Bearer hf_standin", "Bearer xet_standin_99"):
        assert 401 == told(standin, Authorization=wrong).status
    assert 404 == told(standin, b"other").status
    assert 404 == told(standin, version="v3").status


def test_a_token_is_given_to_who_may_read_the_files(standin: Standin) -> None:
    repository = standin.repository("model", "org/toy")
    assert repository is not None
    repository.gated = "manual"
    url = f"{standin.endpoint}/api/models/org/toy/xet-read-token/main"

    assert [401, 403, 200] == [
        ask(url).status,
        ask(url, Authorization="Bearer hf_outsider").status,
        ask(url, Authorization="Bearer hf_standin").status,
    ]


@pytest.mark.slow
@pytest.mark.parametrize("span", [(0, 1), (70_000, 70_001), (1_000_000, 1_500_000)])
def test_a_range_is_told_by_the_chunks_that_it_needs(
    standin: Standin, span: tuple[int, int]
) -> None:
    got = told(standin, Range=f"bytes={span[0]}-{span[1] - 1}")
    offset = got.json["offset_into_first_range"]

    assert 200 == got.status
    assert 0 <= offset < LARGEST
    assert 0 <= lengths(got) - offset - (span[1] - span[0]) < LARGEST
    assert 416 == told(standin, Range=f"bytes={len(CONTENT)}-").status


def test_content_that_is_nowhere_held_is_stored_too() -> None:
    store, blob = Store(), blob_of("a.safetensors", b"head", 200 << 20)
    store.add(blob)
    found = reconstruction(store.runs(blob), 0, blob.size, is_trimmed=True)

    assert [64 << 20] * 3 + [8 << 20] == [one["unpacked_length"] for one in found["terms"]]


def test_the_tree_tells_of_what_is_stored_so(standin: Standin) -> None:
    def ids() -> list[str]:
        tree = ask(f"{standin.endpoint}/api/models/org/toy/tree/main").json
        return [one["path"] for one in tree if "xetHash" in one]

    assert ["a.safetensors", "b.safetensors"] == ids()
    standin.faults.on("no_xet")
    assert [] == ids()


def test_faults_of_the_token(standin: Standin) -> None:
    standin.faults.on("cas_url", "https://elsewhere")
    assert "https://elsewhere" == token(standin)["casUrl"]

    standin.faults.on("cas_token", {"accessToken": 7})
    assert {"accessToken": 7} == token(standin)
    standin.faults.off()
    standin.faults.on("cas_expired", 1)
    granted = f"Bearer {token(standin)['accessToken']}"
    statuses = [told(standin, Authorization=granted).status for _ in range(2)]
    assert [200, 401] == statuses


@pytest.mark.slow
def test_faults_of_the_terms(standin: Standin) -> None:
    standin.faults.on("cas_v2")
    assert [404, 200] == [told(standin, version=version).status for version in ("v1", "v2")]
    standin.faults.off()
    standin.faults.on("cas_whole")
    assert len(CONTENT) == lengths(told(standin, Range="bytes=9-99"))
    standin.faults.off()
    standin.faults.on("cas_untrimmed")
    got = told(standin, Range="bytes=1000000-1000001")
    assert (1_000_000, len(CONTENT)) == (got.json["offset_into_first_range"], lengths(got))
    standin.faults.off()
    standin.faults.on("cas_answer", "longer")
    assert len(CONTENT) + 1 == lengths(told(standin))
    standin.faults.on("status", 503, stage="cas", times=1)
    assert [503, 200] == [told(standin).status for _ in range(2)]
    assert json.loads(told(standin).body)
