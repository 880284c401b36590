"""Repositories of the Hub: revisions, caches, tokens, what is asked for and how often."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckptscan.checkpoint import load, peek
from ckptscan.errors import (
    SourceError,
    SourceNotFound,
    SourceRefused,
    SourceUnreachable,
    UsageError,
)
from ckptscan.sources import open_source
from tests.conftest import HERE, PACKS, file_of
from tests.sources.conftest import SHARDS, TENSORS, read, shard, shard_file, three
from tests.standin import Repository, Standin, repository_of_files, repository_of_pack

ALL = SHARDS * TENSORS
INDEX = "model.safetensors.index.json"


def org_x(standin: Standin) -> Repository:
    return standin.repository("model", "org/x")


def test_a_repository_gives_what_its_files_give_on_disk(standin: Standin, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    for path, data in three().items():
        (folder / path).write_bytes(data)

    remote, local = read(), read(str(folder))
    assert list(local.table) == list(remote.table)
    assert local.faults == remote.faults
    assert local.config == remote.config
    assert [file[:2] for file in local.files] == [file[:2] for file in remote.files]


def test_the_report_names_the_commit_that_a_branch_has(standin: Standin) -> None:
    origin = read().origin

    assert ("hub", "org/x", "main", org_x(standin).head) == (
        origin.kind,
        origin.title,
        origin.revision,
        origin.commit,
    )


def test_digests_are_those_of_the_listing(standin: Standin) -> None:
    from hashlib import sha256

    found = {entry.path: entry.digest for entry in read().files}

    assert sha256(shard_file(1)).hexdigest() == found[shard(1)]
    assert found["config.json"] is None


@pytest.mark.parametrize("spec", ["org/x@dev", "hf://org/x@refs/pr/7", "{sha}", "{short}"])
def test_a_revision_is_a_branch_a_ref_or_a_commit(spec: str, standin: Standin) -> None:
    repository = org_x(standin)
    sha = repository.commit({"model.safetensors": shard_file(1)}, branch="dev")
    repository.pulls["7"] = sha

    found = read(spec.format(sha=f"org/x@{sha}", short=f"org/x@{sha[:8]}"))
    assert sha == found.origin.commit
    assert TENSORS == len(found.table)


def test_everything_after_the_listing_is_pinned_to_its_commit(standin: Standin) -> None:
    commit = org_x(standin).head

    read()
    asked = [one.path for one in standin.requests if one.stage == "resolve"]
    assert asked
    assert all(f"/resolve/{commit}/" in path for path in asked)


def test_a_dataset_and_a_space_are_read_too(standin: Standin) -> None:
    standin.add(repository_of_files("org/d", three(), repo_type="dataset"))
    standin.add(repository_of_files("org/s", three(), repo_type="space"))

    assert ALL == len(read("hf://datasets/org/d").table)
    assert ALL == len(read("org/s", repo_type="space").table)
    with pytest.raises(SourceNotFound) as caught:
        read("org/d")
    assert "--repo-type" in caught.value.hint


def test_a_folder_a_file_and_an_index_may_be_named(standin: Standin) -> None:
    files = {f"sub/{path}": data for path, data in three().items()}
    standin.add(repository_of_files("org/sub", files))

    assert ALL == len(read("hf://org/sub/sub").table)
    assert TENSORS == len(read(f"hf://org/sub/sub/{shard(2)}").table)
    assert ALL == len(read(f"hf://org/sub/sub/{INDEX}").table)
    assert ALL == len(read(f"{standin.endpoint}/org/sub/tree/main/sub").table)
    assert TENSORS == len(read(f"{standin.endpoint}/org/sub/blob/main/sub/{shard(1)}").table)
    for missing in ("other", "sub/other.safetensors", f"other/{INDEX}"):
        with pytest.raises(SourceNotFound, match="is not in it at"):
            read(f"hf://org/sub/{missing}")


@pytest.mark.parametrize(
    ("name", "tensors"),
    [
        ("Qwen/Qwen2-57B-A14B-Instruct", 5_771),
        pytest.param("deepseek-ai/DeepSeek-V3", 91_991, marks=pytest.mark.slow),
    ],
)
def test_a_model_takes_two_requests_a_shard_and_few_bytes(
    name: str, tensors: int, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DeepSeek-V3: 163 shards, 11.9 MB of headers; then one request, then none."""
    path = str(PACKS / f"{name.replace('/', '--')}.ckptpack")
    standin.add(repository_of_pack(path, name))
    expected = open_source(path)
    sizes = [
        8 + int.from_bytes(expected.read(entry.path, 0, 8), "little")
        for entry in expected.files()
        if entry.path.endswith(".safetensors")
    ]

    found = read(name)
    assert tensors == len(found.table)
    assert 2 * len(sizes) == standin.count(file="*.safetensors")
    assert 2 * 2 == standin.count(file="*.json")
    assert 1 == standin.count(file=name)
    assert 2 * len(sizes) + 5 == len(standin.requests)
    assert 1.25 * sum(sizes) >= standin.body_bytes("*.safetensors", origin="cdn")

    standin.clear()
    assert list(found.table) == list(read(name).table)
    assert 1 == len(standin.requests)

    standin.clear()
    commit = found.origin.commit
    assert list(found.table) == list(read(f"{name}@{commit}").table)
    assert list(found.table) == list(read(name, offline=True).table)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert list(found.table) == list(read(name).table)
    assert [] == standin.requests


def test_a_reading_from_the_cache_does_not_import_huggingface_hub(standin: Standin) -> None:
    commit = read().origin.commit
    standin.clear()
    code = (
        "import sys\nfrom ckptscan.commands import cli\n"
        "try: cli(sys.argv[1:])\nexcept SystemExit as left: assert left.code == 0\n"
        "heavy = {'huggingface_hub', 'httpx', 'httpx2', 'tqdm', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    for arguments in (["org/x", "--offline"], [f"org/x@{commit}"]):
        command = [sys.executable, "-c", code, "inspect", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)

        assert (0, "") == (done.returncode, done.stderr)
    assert [] == standin.requests


def test_revisions_and_forks_share_headers(standin: Standin) -> None:
    read()
    files = three() | {shard(3): shard_file(3) + b"", "README.md": b"new"}
    org_x(standin).commit(files, branch="next")
    standin.add(repository_of_files("other/fork", files | {"x.json": b"{}"}))
    standin.clear()

    read("org/x@next")
    read("other/fork")
    assert 0 == standin.count(file="*.safetensors")


def test_two_endpoints_share_nothing(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    read()
    with Standin(repository_of_files("org/x", three())) as other:
        monkeypatch.setenv("HF_ENDPOINT", other.endpoint)
        read()

        assert SHARDS * 2 == other.count(file="*.safetensors")


def test_a_fifo_in_a_cache_does_not_hang(standin: Standin, caches: Path) -> None:
    commit = snapshot(caches, standin, ["config.json"])
    above = caches / "huggingface" / "hub" / "models--org--x"
    (above / "refs" / "main").unlink()
    os.mkfifo(above / "refs" / "main")
    (above / "trees").mkdir()
    os.mkfifo(above / "trees" / f"{commit}.json")

    with pytest.raises(SourceUnreachable, match="in no cache"):
        read(offline=True)
    assert ALL == len(read(revision=commit).table)
    for kept in [path for path in (caches / "ckptscan").rglob("*") if path.is_file()]:
        kept.unlink()
        os.mkfifo(kept)
    assert ALL == len(read(revision=commit).table)


def test_a_damaged_cache_is_read_again(standin: Standin, caches: Path) -> None:
    expected = list(read().table)
    for kept in (caches / "ckptscan").rglob("*"):
        if kept.is_file():
            kept.write_bytes(kept.read_bytes()[:-9] + b"\0" * 9)
    standin.clear()

    assert expected == list(read().table)
    assert SHARDS * 2 == standin.count(file="*.safetensors")


def test_offline_without_a_cache_is_an_error(standin: Standin) -> None:
    with pytest.raises(SourceUnreachable, match="main is in no cache") as caught:
        read(offline=True)
    assert "--offline" in caught.value.hint
    assert [] == standin.requests


def test_a_cache_that_lost_a_header_says_so_offline(standin: Standin, caches: Path) -> None:
    read()
    next((caches / "ckptscan" / "headers").rglob("*/*")).unlink()

    with pytest.raises(SourceUnreachable, match=r"\.safetensors: of org/x, is in no cache"):
        read(offline=True)


def snapshot(caches: Path, standin: Standin, paths: list[str]) -> str:
    """Files as huggingface_hub keeps them: a link in a snapshot to a blob."""
    commit = org_x(standin).head
    above = caches / "huggingface" / "hub" / "models--org--x"
    folder = above / "snapshots" / commit
    for folder_ in (folder, above / "blobs", above / "refs"):
        folder_.mkdir(parents=True)
    (above / "refs" / "main").write_text(commit)
    for number, path in enumerate(paths):
        (above / "blobs" / str(number)).write_bytes(three()[path])
        (folder / path).symlink_to(f"../../blobs/{number}")
    return commit


def test_a_snapshot_of_huggingface_hub_is_read_without_a_request(
    standin: Standin, caches: Path
) -> None:
    commit = snapshot(caches, standin, list(three()))

    for options in (
        {"offline": True},
        {"revision": commit},
        {"revision": commit[:9], "offline": 1},
    ):
        found = read(**options)
        assert ALL == len(found.table)
        assert ("hf-cache", commit) == (found.origin.kind, found.origin.commit)
    assert [] == standin.requests
    assert ALL == len(read().table)
    assert 1 == len(standin.requests)


def test_a_snapshot_that_is_not_whole_is_completed(standin: Standin, caches: Path) -> None:
    commit = snapshot(caches, standin, ["config.json", INDEX, shard(1)])

    assert ALL == len(read(revision=commit).table)
    assert 2 * (SHARDS - 1) == standin.count(file="*.safetensors")


def test_offline_a_snapshot_that_is_not_whole_is_told_as_incomplete(
    standin: Standin, caches: Path
) -> None:
    snapshot(caches, standin, ["config.json", INDEX, shard(1)])

    found = read(offline=True)
    assert (shard(2), shard(3)) == found.missing
    assert found.incomplete


def test_the_list_that_huggingface_hub_keeps_tells_whether_a_snapshot_is_whole(
    standin: Standin, caches: Path
) -> None:
    commit = snapshot(caches, standin, [shard(1), shard(2), shard(3), INDEX])
    trees = caches / "huggingface" / "hub" / "models--org--x" / "trees"
    trees.mkdir()
    files = {path: {"size": len(data)} for path, data in three().items()}
    (trees / f"{commit}.json").write_text(json.dumps({"format_version": 1, "files": files}))

    assert "LlamaForCausalLM" == read(revision=commit).config.architecture


def test_the_token_goes_to_the_hub_alone(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, caches: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_standin")
    org_x(standin).private = True
    standin.faults.on("redirect_evil", path=shard(2))

    read()
    sent = {one.origin for one in standin.requests if "authorization" in one.headers}
    assert {"hub"} == sent
    assert {"hub", "cdn", "evil"} == {one.origin for one in standin.requests}
    kept = [path.read_bytes() for path in (caches / "ckptscan").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"hf_standin" in data for data in kept)


def test_a_token_of_hf_auth_login_is_sent(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("hf_standin\n")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    org_x(standin).private = True

    assert ALL == len(read().table)
    with pytest.raises(SourceNotFound):
        read(revision="main", anonymous=True)


def test_a_password_in_the_endpoint_is_sent_and_never_shown(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", standin.endpoint.replace("//", "//user:secret@"))
    with pytest.raises(SourceError) as caught:
        read("org/none")

    assert standin.requests[0].headers["authorization"].startswith("Basic ")
    assert "secret" not in caught.value.message + caught.value.hint


def test_a_gated_repository_says_what_to_do(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    org_x(standin).gated = "manual"

    with pytest.raises(SourceRefused, match="is gated") as caught:
        read()
    assert f"accept its terms at {standin.endpoint}/org/x, then hf auth login" == caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_outsider")
    with pytest.raises(SourceRefused, match="is gated") as caught:
        read()
    assert caught.value.hint.startswith("ask for access at")
    monkeypatch.setenv("HF_TOKEN", "hf_standin")
    assert ALL == len(read().table)


def test_a_private_repository_may_need_a_login(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    org_x(standin).private = True

    with pytest.raises(SourceNotFound, match="or it is private") as caught:
        read()
    assert "hf auth login" in caught.value.hint
    monkeypatch.setenv("HF_TOKEN", "hf_outsider")
    with pytest.raises(SourceNotFound) as caught:
        read()
    assert "the token that is sent may not see it" in caught.value.hint


def test_a_token_that_is_not_taken_is_told(
    standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")

    with pytest.raises(SourceRefused, match="does not take the token") as caught:
        read()
    assert "hf_wrong" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("token", ["hf_é", "hf_a\x1b[0m", "a\nb"])
def test_a_token_that_can_be_none_is_not_sent(
    token: str, standin: Standin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)

    with pytest.raises(SourceRefused, match="characters that no token has"):
        read()
    assert [] == standin.requests


def test_a_token_that_can_t_be_read_is_told(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path))

    with pytest.raises(SourceUnreachable, match="its token, can't be used: IsADirectoryError"):
        read()


def test_a_renamed_repository_is_followed(standin: Standin) -> None:
    standin.add(Repository("org/old", renamed_to="org/x"))

    assert "org/x" == read("org/old").origin.title
    standin.clear()
    assert ALL == len(read("org/old", offline=True).table)


def test_a_revision_that_is_not_there_is_named(standin: Standin) -> None:
    with pytest.raises(SourceNotFound, match="no revision is called nope"):
        read("org/x@nope")


def test_an_endpoint_that_is_no_address_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "not an address")

    with pytest.raises(UsageError, match="HF_ENDPOINT is no http address") as caught:
        read()
    assert 2 == caught.value.exit_code


def test_nobody_listening_is_told(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("ckptscan.sources.web.FIRST_PAUSE", 0.01)

    with pytest.raises(SourceUnreachable, match=r"org/x: 127.0.0.1:9: no connection, 3 times"):
        read()


def test_peeking_takes_one_request_a_tensor_side_by_side(standin: Standin) -> None:
    tensors = {f"model.layers.{n}.q.weight_shape": ("I64", [2]) for n in range(64)}
    standin.add(repository_of_files("org/packed", {"model.safetensors": file_of(tensors)}))
    standin.faults.latency = 0.05
    source = open_source("org/packed")
    checkpoint = load(source)
    standin.clear()
    begun = time.monotonic()

    assert dict.fromkeys(tensors, (0, 0)) == peek(source, checkpoint)[""]
    assert 64 == len(standin.requests)
    assert time.monotonic() - begun < 64 * 0.05 / 2


def test_the_hub_s_own_count_is_declared(standin: Standin) -> None:
    org_x(standin).safetensors = {"BF16": 1440}

    assert (("Hub safetensors.total", 1440),) == read().origin.claims
