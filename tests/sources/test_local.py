"""Checkpoints on disk: directories, files, snapshots of the Hugging Face cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptscan.checkpoint import load, open_checkpoint
from ckptscan.errors import SourceNotFound, SourceUnreadable
from ckptscan.sources import Filling, open_source
from ckptscan.sources.base import DANGLING, Origin
from ckptscan.sources.local import LocalSource, open_local
from tests.conftest import file_of, index_of

DATA = file_of({"a": ("F32", [4])})
SHA = "a" * 64
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_directory_lists_its_files_three_folders_deep(tmp_path: Path) -> None:
    for folder in ("", "a", "a/b", "a/b/c", "a/b/c/d", ".cache"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "x.json").write_bytes(b"{}")
    paths = {entry.path for entry in open_source(str(tmp_path)).files()}

    assert {"x.json", "a/x.json", "a/b/x.json", "a/b/c/x.json"} == paths


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "model.safetensors").write_bytes(DATA)
    (tmp_path / "loop").symlink_to(tmp_path)

    assert ["real/model.safetensors"] == [
        entry.path for entry in open_source(str(tmp_path)).files() if "loop" not in entry.path
    ]
    assert 1 == len(open_checkpoint(str(tmp_path)).sets)


def test_one_file_is_a_source_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(DATA)
    (tmp_path / "b.safetensors").write_bytes(DATA)
    source = open_source(str(tmp_path / "a.safetensors"))

    assert ["a.safetensors"] == [entry.path for entry in source.files()]
    assert (source.origin.kind, source.origin.title) == ("file", "a.safetensors")


def test_an_index_file_names_its_set(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(DATA)
    (tmp_path / "x-1.safetensors").write_bytes(DATA)
    (tmp_path / "x.safetensors.index.json").write_bytes(index_of({"a": "x-1.safetensors"}))
    checkpoint = open_checkpoint(str(tmp_path / "x.safetensors.index.json"))

    assert ["x-1.safetensors"] == [shard.path for shard in checkpoint.table.shards]


def test_a_range_ends_where_the_file_does(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    source = open_source(str(tmp_path))

    assert b"234" == source.read("a", 2, 3)
    assert b"89" == source.read("a", 8, 100)
    assert b"" == source.read("a", 50, 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_in_place_of_a_file_is_one_error_and_no_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")

    with pytest.raises(SourceUnreadable, match=r"model\.safetensors: is a FIFO"):
        open_checkpoint(str(tmp_path))
    with pytest.raises(SourceUnreadable, match="is a FIFO"):
        open_checkpoint(str(tmp_path / "model.safetensors"))
    with pytest.raises(SourceUnreadable, match="is a FIFO"):
        open_source(str(tmp_path)).read("model.safetensors", 0, 8)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no devices here")
def test_a_device_is_not_read() -> None:
    with pytest.raises(SourceUnreadable, match="is a device"):
        open_source("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(DATA)
    (tmp_path / "model.safetensors").chmod(0)

    with pytest.raises(SourceUnreadable, match="permission denied"):
        open_checkpoint(str(tmp_path))


def test_a_file_that_vanished_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(DATA)
    source = open_source(str(tmp_path))
    listed = source.files()
    (tmp_path / "model.safetensors").unlink()

    assert 1 == len(listed)
    with pytest.raises(SourceUnreadable, match="no such file"):
        source.read("model.safetensors", 0, 8)


def test_a_link_to_nothing_is_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(DATA)
    (tmp_path / "model-00002-of-00002.safetensors").symlink_to(tmp_path / "gone")
    source = open_source(str(tmp_path))
    checkpoint = load(source)

    assert [None, DANGLING] == [entry.problem for entry in checkpoint.files]
    assert ("model-00002-of-00002.safetensors",) == checkpoint.missing


def cached(tmp_path: Path, ref: str | None = "main") -> Path:
    """A repository in the Hugging Face cache, as huggingface_hub lays it out."""
    root = tmp_path / "models--org--name"
    blobs, snapshot = root / "blobs", root / "snapshots" / COMMIT
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    (blobs / SHA).write_bytes(DATA)
    (blobs / ("b" * 40)).write_bytes(b'{"architectures":["X"]}')
    (snapshot / "model.safetensors").symlink_to(f"../../blobs/{SHA}")
    (snapshot / "config.json").symlink_to(f"../../blobs/{'b' * 40}")
    if ref:
        (root / "refs").mkdir()
        (root / "refs" / ref).write_text(COMMIT)
    return root


def test_a_cached_snapshot_tells_repository_commit_and_digests(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(cached(tmp_path) / "snapshots" / COMMIT))

    assert (
        checkpoint.origin.kind,
        checkpoint.origin.title,
        checkpoint.origin.revision,
        checkpoint.origin.commit,
    ) == ("hf-cache", "org/name", None, COMMIT)
    assert checkpoint.table.shards[0].digest == SHA
    assert [None, SHA] == [entry.digest for entry in checkpoint.files]


@pytest.mark.parametrize(("ref", "revision"), [("main", "main"), (None, None)])
def test_a_cached_repository_gives_its_snapshot(
    tmp_path: Path, ref: str | None, revision: str | None
) -> None:
    origin = open_source(str(cached(tmp_path, ref))).origin

    assert (COMMIT, revision) == (origin.commit, revision)


def test_a_blob_that_is_itself_a_link_keeps_its_name(tmp_path: Path) -> None:
    """huggingface_hub 2 links blobs into a store that is named by other hashes."""
    root = cached(tmp_path)
    store = tmp_path / ("c" * 64)
    (root / "blobs" / SHA).rename(store)
    (root / "blobs" / SHA).symlink_to(store)

    assert open_checkpoint(str(root)).table.shards[0].digest == SHA


def test_a_cached_repository_without_main_names_its_snapshots(tmp_path: Path) -> None:
    root = cached(tmp_path, "v1")
    (root / "snapshots" / ("f" * 40)).mkdir()

    with pytest.raises(SourceNotFound, match="2 snapshots and none is main") as caught:
        open_source(str(root))
    assert COMMIT in caught.value.hint


def test_a_path_of_odd_bytes_is_listed(tmp_path: Path) -> None:
    name = b"model\xff.safetensors"
    try:
        Path(os.fsdecode(os.fsencode(str(tmp_path)) + b"/" + name)).write_bytes(DATA)
    except OSError:
        pytest.skip("this file system takes no such name")

    assert 1 == len(open_checkpoint(str(tmp_path)).table)


def test_a_folder_that_can_t_be_listed_is_an_error(tmp_path: Path) -> None:
    origin = Origin("gone", "directory", "gone")

    with pytest.raises(SourceUnreadable, match="gone: no such file"):
        LocalSource(str(tmp_path / "gone"), origin).files()


def test_a_subfolder_that_can_t_be_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.json").write_bytes(b"{}")
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    assert ["a.json"] == [entry.path for entry in open_source(str(tmp_path)).files()]


def test_a_read_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    (tmp_path / "a").write_bytes(b"0123456789")
    source = open_source(str(tmp_path))
    monkeypatch.setattr(os, "pread", fail)

    with pytest.raises(SourceUnreadable, match="a: input/output error"):
        source.read("a", 0, 4)


def test_a_link_to_itself_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        (folder / "loop").symlink_to("loop")
        (folder / "model.safetensors").write_bytes(DATA)

    assert {"loop", "model.safetensors", "sub/loop", "sub/model.safetensors"} == {
        entry.path for entry in open_local(str(tmp_path)).files()
    }


def test_more_files_than_a_model_has_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckptscan.sources.local.MAX_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.safetensors").write_bytes(DATA)
    with pytest.raises(SourceUnreadable, match="more than 2 files"):
        open_local(str(tmp_path)).files()


def test_a_fifo_as_reference_is_not_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "models--a--b"
    (root / "snapshots" / COMMIT).mkdir(parents=True)
    (root / "refs").mkdir()
    os.mkfifo(root / "refs" / "main")
    (root / "snapshots" / COMMIT / "model.safetensors").write_bytes(DATA)

    assert COMMIT == open_local(str(root)).origin.commit


def test_a_cache_of_several_models_asks_for_one(tmp_path: Path) -> None:
    for name in ("models--a--b", "models--c--d"):
        (tmp_path / name / "snapshots").mkdir(parents=True)
    with pytest.raises(SourceNotFound, match="a cache with 2 models") as caught:
        open_local(str(tmp_path))

    assert "models--a--b, models--c--d" in caught.value.hint


def test_an_open_file_fills_a_buffer(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(bytes(range(100)))
    source = open_source(str(tmp_path))
    assert isinstance(source, Filling)
    opened = source.open_file("a.safetensors")
    held = bytearray(64)
    whole, part = opened.fill(8, memoryview(held)), opened.fill(90, memoryview(held))
    stamp = opened.stamp()
    (tmp_path / "a.safetensors").write_bytes(bytes(101))
    other = opened.stamp()
    opened.close()

    assert (64, 10) == (whole, part)
    assert bytes(range(90, 100)) == bytes(held[:10])
    assert stamp != other


def test_what_can_not_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(bytes(100))
    source = open_source(str(tmp_path))
    assert isinstance(source, Filling)
    (tmp_path / "a.safetensors").unlink()

    with pytest.raises(SourceUnreadable, match="a"):
        source.open_file("a.safetensors")
