"""The stand-in is honest: the unmodified client works against it, and ranges are ranges."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import PACKS, file_of, index_of
from tests.standin import Repository, Standin, blob_of, repository_of_files, repository_of_pack
from tests.standin.ask import Got, ask, bytes_of

FIRST = file_of({"a": ("BF16", [4, 4]), "b": ("F32", [2])})
SECOND = file_of({"c": ("BF16", [3])})
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
FILES = {
    SHARDS[0]: FIRST,
    SHARDS[1]: SECOND,
    "model.safetensors.index.json": index_of({"a": SHARDS[0], "b": SHARDS[0], "c": SHARDS[1]}),
    "config.json": b'{"model_type": "toy"}',
    "README.md": b"# Toy",
    "sub/deep/x.txt": b"x",
}
FAILURES = {
    # over http the client makes no RepositoryNotFoundError of a 401
    "absent, anonymous": ["HfHubHTTPError", 401],
    "absent": ["RepositoryNotFoundError", 404],
    "private, anonymous": ["HfHubHTTPError", 401],
    "private, outsider": ["RepositoryNotFoundError", 404],
    "bad token": ["HfHubHTTPError", 401],
    "revision": ["RevisionNotFoundError", 404],
    "file": ["RemoteEntryNotFoundError", 404],
    "gated, anonymous": ["GatedRepoError", 401],
    "gated, outsider": ["GatedRepoError", 403],
}


def populated() -> Standin:
    """A stand-in with a repository of each kind."""
    sharded = repository_of_files("org/sharded", FILES)
    main = sharded.head
    sharded.pulls["1"] = sharded.commit({**FILES, "README.md": b"# Pull"}, branch="pull")
    del sharded.branches["pull"]
    sharded.safetensors = {"BF16": 19, "F32": 2}
    assert main == sharded.head
    gated = repository_of_files("org/gated", FILES)
    gated.gated = "manual"
    private = repository_of_files("org/private", FILES)
    private.private = True
    return Standin(
        sharded,
        gated,
        private,
        repository_of_files("org/single", {"model.safetensors": FIRST}),
        repository_of_files("org/data", {"a b/ä#?.txt": b"text"}, "dataset"),
        Repository("org/old", renamed_to="org/sharded"),
    )


def client(standin: Standin, home: Path, *names: str, **environment: str) -> dict[str, Any]:
    """What the unmodified client sees, in a process of its own."""
    switches = {"XET": "1", "TELEMETRY": "1", "PROGRESS_BARS": "1"}
    environment |= {f"HF_HUB_DISABLE_{name}": text for name, text in switches.items()}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("client.py")), *names],
        env={**os.environ, "HF_ENDPOINT": standin.endpoint, "HF_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture
def standin() -> Iterator[Standin]:
    with populated() as standin:
        yield standin


def test_the_unmodified_client_works(tmp_path: Path) -> None:
    """One process for all calls; importing the client takes longer than they do."""
    with populated() as standin:
        standin.faults.page_size = 3
        sha = standin.repository("model", "org/sharded").head  # type: ignore[union-attr]
        seen = client(standin, tmp_path, SHORT=sha[:7])

        sizes = {path: len(data) for path, data in FILES.items()}
        digests = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}
        counts = {"BF16": 19, "F32": 2}
        assert [True, 3, counts] == [
            seen["sharded"][k] for k in ("sharded", "tensors", "parameters")
        ]
        assert [*SHARDS] == seen["sharded"]["files"]
        assert [False, 2] == [seen["single"][key] for key in ("sharded", "tensors")]
        assert (sha, sizes, 21) == (seen["sha"], seen["siblings"], seen["safetensors"])
        assert {name: digests[name] for name in SHARDS} == seen["lfs"]
        assert sorted([*FILES, "sub", "sub/deep"]) == seen["tree"]
        assert (["sub/deep"], ["sub", "README.md"]) == (seen["expanded"], seen["paths"])
        assert (["main"], ["refs/pr/1"], True) == (seen["branches"], seen["pulls"], seen["exists"])
        assert ("org/data", "org/sharded") == (seen["dataset"], seen["renamed"])
        assert seen["downloads"] == {
            "snapshot": digests,
            "pull": "# Pull",
            "short": "# Toy",
            "dataset": "text",
            "renamed": FILES["config.json"].decode(),
            "gated": FILES["config.json"].decode(),
        }
        assert seen["failures"] == FAILURES
        assert 0 < standin.count("cdn")
        assert not [one for one in standin.asked("cdn") if "authorization" in one.headers]


def test_the_unmodified_client_reads_a_pack(tmp_path: Path) -> None:
    name = "mistralai/Mixtral-8x7B-v0.1"
    path = PACKS / f"{name.replace('/', '--')}.ckptpack"
    with Standin(repository_of_pack(str(path), name)) as standin:
        seen = client(standin, tmp_path, name)

        assert (995, 19) == (seen["tensors"], len(seen["files"]))
        assert 46_702_792_704 == sum(seen["parameters"].values())
        assert 5_000_000 > standin.body_bytes("*.safetensors")


SPANS = [
    (None, 200, FIRST, None),
    ("bytes=0-7", 206, FIRST[:8], "bytes 0-7/168"),
    ("bytes=8-", 206, FIRST[8:], "bytes 8-167/168"),
    ("bytes=-8", 206, FIRST[-8:], "bytes 160-167/168"),
    ("bytes=160-9999", 206, FIRST[160:], "bytes 160-167/168"),
    ("bytes=168-170", 416, None, "bytes */168"),
    ("bytes=7-3", 200, FIRST, None),
    ("bytes=0-1,4-5", 200, FIRST, None),
    ("lines=0-1", 200, FIRST, None),
]


@pytest.mark.parametrize(("asked", "status", "body", "content_range"), SPANS)
def test_ranges(
    standin: Standin, asked: str | None, status: int, body: bytes | None, content_range: str | None
) -> None:
    headers = {} if asked is None else {"Range": asked}
    got = bytes_of(standin, "org/single", "model.safetensors", **headers)

    assert (status, content_range) == (got.status, got.headers.get("content-range"))
    assert body in (None, got.body)
    assert asked == standin.requests[-1].range
    assert len(got.body) == standin.requests[-1].sent_bytes


def test_a_file_in_lfs_is_behind_a_signed_address_of_another_host(standin: Standin) -> None:
    got = ask(f"{standin.endpoint}/org/single/resolve/main/model.safetensors", "HEAD")
    again = ask(f"{standin.endpoint}/org/single/resolve/main/model.safetensors")
    location = got.headers["location"]

    digest = hashlib.sha256(FIRST).hexdigest()
    assert (302, b"") == (got.status, got.body)
    assert (str(len(FIRST)), f'"{digest}"') == (
        got.headers["x-linked-size"],
        got.headers["x-linked-etag"],
    )
    assert "localhost" == urlsplit(location).hostname != urlsplit(standin.endpoint).hostname
    assert location != again.headers["location"]
    assert FIRST == ask(location).body
    assert 400 == ask(location, Authorization="Bearer hf_standin").status
    assert 403 == ask(location.replace("Signature=", "Signature=0")).status
    assert 200 == ask(location, "HEAD").status


def test_a_small_file_is_behind_a_relative_address(standin: Standin) -> None:
    got = ask(f"{standin.endpoint}/org/sharded/resolve/main/README.md")
    sha = got.headers["x-repo-commit"]
    location = got.headers["location"]
    final = ask(standin.endpoint + location)

    oid = hashlib.sha1(b"blob 5\0# Toy").hexdigest()
    assert 307 == got.status
    assert location.startswith(f"/api/resolve-cache/models/org/sharded/{sha}/README.md?")
    assert (200, b"# Toy", f'"{oid}"') == (final.status, final.body, final.headers["etag"])
    assert sha == final.headers["x-repo-commit"]


def test_revisions_have_many_names(standin: Standin) -> None:
    repository = standin.repository("model", "org/sharded")
    assert repository is not None
    sha, pull = repository.head, repository.pulls["1"]

    def found(revision: str) -> str:
        return str(
            ask(f"{standin.endpoint}/api/models/org/sharded/revision/{revision}").json["sha"]
        )

    assert {sha} == {found(name) for name in ("main", sha, sha[:7], "refs%2Fheads%2Fmain")}
    assert {pull} == {found(name) for name in ("refs%2Fpr%2F1", "refs/pr/1", pull[:12])}


def test_bytes_that_are_nowhere_held_are_served() -> None:
    size = 689_000_000_000
    repository = repository_of_files("org/huge", {"model.safetensors": blob_of("x", FIRST, size)})
    with Standin(repository) as standin:
        across = bytes_of(standin, "org/huge", "model.safetensors", Range="bytes=160-199")
        last = bytes_of(standin, "org/huge", "model.safetensors", Range="bytes=-2")

        assert FIRST[160:] + bytes(32) == across.body
        assert f"bytes {size - 2}-{size - 1}/{size}" == last.headers["content-range"]


def test_the_same_files_have_the_same_commit() -> None:
    one, other = (repository_of_files("org/a", FILES) for _ in range(2))
    changed = repository_of_files("org/a", {**FILES, "README.md": b""})

    assert one.head == other.head != changed.head
    assert 40 == len(one.head)


def test_plain_files_are_served(standin: Standin) -> None:
    url = standin.put("a b.safetensors", FIRST)

    assert FIRST[4:6] == ask(url, Range="bytes=4-5").body
    assert 404 == ask(f"{url}x").status
    closed = url.replace("/plain/", "/plain-auth/")
    assert (401, 200) == (
        ask(closed).status,
        ask(closed, Authorization="Basic dXNlcjpwdw==").status,
    )


def test_it_serves_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(FIRST)
    command = [sys.executable, "-m", "tests.standin", "--files", str(tmp_path), "--repo", "org/x"]
    with subprocess.Popen(
        [*command, "--stats"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        endpoint = program.stdout.readline().strip().removeprefix("ENDPOINT=")
        got: Got = ask(f"{endpoint}/api/models/org/x?blobs=true")
        program.stdin.close()

        assert len(FIRST) == got.json["siblings"][0]["size"]
        assert program.stdout.read().startswith("REQUESTS=1 CPU=")
    assert 0 == program.returncode
