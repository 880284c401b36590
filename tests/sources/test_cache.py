"""The cache of headers: private, bounded, whole or not there, and never in the way."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from ckptscan.sources.base import FileEntry
from ckptscan.sources.cache import BOUND, Kept, Shelf, clear, folder, trim, usage

ENTRY = FileEntry("model.safetensors", 100, "ab" * 32)
PLAIN = FileEntry("config.json", 2)


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "cache")


def test_what_is_kept_is_found(root: str) -> None:
    shelf = Shelf("https://host", "model/org/x", root)

    assert shelf.find("c1", ENTRY, "head") is None
    shelf.keep("c1", ENTRY, "head", b"header")
    shelf.keep("c1", PLAIN, "whole", b"{}")
    shelf.keep_manifest("c1", {"files": []})
    shelf.keep_commit("main", "c1")

    assert b"header" == shelf.find("c1", ENTRY, "head")
    assert b"{}" == shelf.find("c1", PLAIN, "whole")
    assert {"files": []} == shelf.manifest("c1")
    assert "c1" == shelf.commit("main")


def test_a_header_is_known_by_the_content_of_its_file_and_its_origin(root: str) -> None:
    Shelf("https://host", "model/org/x", root).keep("c1", ENTRY, "head", b"header")

    assert b"header" == Shelf("https://host", "other/fork", root).find("c9", ENTRY, "head")
    assert Shelf("https://evil", "model/org/x", root).find("c1", ENTRY, "head") is None


def test_other_files_are_known_by_their_commit_and_path(root: str) -> None:
    shelf = Shelf("https://host", "model/org/x", root)
    unknown = ENTRY._replace(digest=None)
    shelf.keep("c1", PLAIN, "whole", b"{}")
    shelf.keep("c1", unknown, "head", b"header")

    assert shelf.find("c2", PLAIN, "whole") is None
    assert shelf.find("c2", unknown, "head") is None
    assert b"header" == shelf.find("c1", unknown, "head")
    assert Shelf("https://host", "model/org/y", root).find("c1", PLAIN, "whole") is None


def test_folders_of_one_commit_are_kept_apart(root: str) -> None:
    shelf = Shelf("https://host", "model/org/x", root)
    Kept(shelf, "c1", "a").keep(PLAIN, "whole", b"{}")

    assert Kept(shelf, "c1", "").find(PLAIN, "whole") is None
    assert b"{}" == Kept(shelf, "c1", "").find(FileEntry("a/config.json", 2), "whole")


def test_its_owner_alone_may_look(root: str) -> None:
    Shelf("https://host", "p", root).keep("c", ENTRY, "head", b"header")

    for path, folders, files in os.walk(root):
        assert 0o700 == stat.S_IMODE(os.stat(path).st_mode)
        for name in files:
            assert 0o600 == stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode)
        assert folders or files


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_may_write_is_not_believed(root: str, mode: int) -> None:
    Shelf("https://host", "p", root).keep("c", ENTRY, "head", b"header")
    os.chmod(os.path.join(root, "headers"), mode)

    assert Shelf("https://host", "p", root).find("c", ENTRY, "head") is None
    os.chmod(os.path.join(root, "headers"), 0o700)
    assert b"header" == Shelf("https://host", "p", root).find("c", ENTRY, "head")


def test_a_folder_that_was_there_before_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Shelf("https://host", "p", str(tmp_path)).keep("c", ENTRY, "head", b"header")

    assert 0o755 == stat.S_IMODE(tmp_path.stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "headers").stat().st_mode)


def only_file(root: str) -> Path:
    (found,) = (path for path in Path(root).rglob("*") if path.is_file())
    return found


@pytest.mark.parametrize("damage", [b"", b"x", b"header", b"\0" * 40])
def test_what_is_damaged_is_not_there(root: str, damage: bytes) -> None:
    shelf = Shelf("https://host", "p", root)
    shelf.keep("c", ENTRY, "head", b"header")
    only_file(root).write_bytes(damage)

    assert shelf.find("c", ENTRY, "head") is None


def test_no_link_is_followed(root: str, tmp_path: Path) -> None:
    shelf = Shelf("https://host", "p", root)
    shelf.keep("c", ENTRY, "head", b"header")
    kept = only_file(root)
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")

    assert shelf.find("c", ENTRY, "head") is None


def test_a_manifest_of_nonsense_is_none(root: str) -> None:
    shelf = Shelf("https://host", "p", root)
    shelf.keep_manifest("c", {"a": 1})
    for text in (b"[]", b"{", b"\xff", b"[" * 100_000):
        shelf._write("manifests", shelf._placed("c"), text)

        assert shelf.manifest("c") is None


def test_a_cache_that_can_t_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    shelf = Shelf("https://host", "p", str(tmp_path / "file" / "cache"))
    shelf.keep("c", ENTRY, "head", b"header")

    assert shelf.find("c", ENTRY, "head") is None
    shelf.settle()


def test_what_was_not_used_for_longest_goes_first(root: str) -> None:
    shelf = Shelf("https://host", "p", root)
    entries = [ENTRY._replace(digest=f"{number:064x}") for number in range(10)]
    for number, entry in enumerate(entries):
        shelf.keep("c", entry, "head", bytes(1000))
        newest = max(Path(root).rglob("*"), key=lambda path: (path.is_file(), path.stat().st_mtime))
        os.utime(newest, (number, number))
    assert shelf.find("c", entries[0], "head")  # used now

    trim(5 * 1013, root)
    assert 4 == usage(root).files
    assert shelf.find("c", entries[0], "head")
    assert shelf.find("c", entries[1], "head") is None
    assert shelf.find("c", entries[9], "head")


def test_within_its_bound_nothing_goes(root: str) -> None:
    shelf = Shelf("https://host", "p", root)
    shelf.keep("c", ENTRY, "head", b"header")
    shelf.settle()

    assert usage(root).nbytes < BOUND
    assert b"header" == shelf.find("c", ENTRY, "head")


def test_clearing_removes_what_is_kept_and_nothing_else(root: str) -> None:
    shelf = Shelf("https://host", "p", root)
    shelf.keep("c", ENTRY, "head", b"header")
    (Path(root) / "mine.txt").write_text("keep me")

    assert 1 == clear(root).files
    assert ["mine.txt"] == os.listdir(root)
    assert 0 == clear(root).files


def test_many_writers_leave_one_whole_file(root: str) -> None:
    body = os.urandom(200_000)

    def write() -> None:
        shelf = Shelf("https://host", "p", root)
        for _ in range(20):
            shelf.keep("c", ENTRY, "head", body)
            assert shelf.find("c", ENTRY, "head") in (None, body)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert body == Shelf("https://host", "p", root).find("c", ENTRY, "head")
    assert 1 == usage(root).files
    assert not list(Path(root).rglob("*.part"))


def test_where_it_lies_may_be_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "here"))
    assert str(tmp_path / "here") == folder()
    monkeypatch.delenv("CKPTSCAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert str(tmp_path / "ckptscan") == folder()
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert os.path.join(os.path.expanduser("~"), ".cache", "ckptscan") == folder()
