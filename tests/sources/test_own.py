"""Files of the project: found, read and written, but never inside the checkpoint."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ckptscan.errors import SourceUnreadable, UsageError
from ckptscan.sources import own


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "model"
    folder.mkdir(parents=True)
    (folder / "inner").mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "model.safetensors.index.json").write_bytes(b"")
    return folder


def test_a_folder_and_an_index_have_an_inside_and_a_file_has_none(model: Path) -> None:
    files = [str(model / name) for name in ("model.safetensors", "model.safetensors.index.json")]

    assert (str(model), str(model)) == own.folders_of([str(model), files[1], "org/name", "a\0b"])
    assert () == own.folders_of([files[0]])
    assert (str(model),) * 2 == own.folders_around([files[0], str(model), "org/name", "a\0b"])


def test_a_file_lies_inside_by_its_name_or_by_where_it_leads(model: Path) -> None:
    inside = own.folders_of([str(model)])
    (model / "ckptscan.toml").write_text("")
    (model.parent / "link.toml").symlink_to(model / "ckptscan.toml")
    (model / "out.toml").symlink_to(model.parent / "x.toml")
    (model.parent / "alias").symlink_to(model)

    assert own.lies_in(str(model / "inner" / "x.toml"), inside)
    assert own.lies_in(str(model.parent / "link.toml"), inside)
    assert own.lies_in(str(model / "out.toml"), inside)
    assert own.lies_in(str(model.parent / "alias" / "x"), inside)
    assert own.lies_in(str(model / "inner" / ".." / "x"), inside)
    assert not own.lies_in(str(model.parent / "x.toml"), inside)
    assert not own.lies_in(str(model) + "-2/x.toml", inside)
    assert own.lies_in("/x", ("/",))


def test_only_regular_files_of_a_bounded_size_are_read(model: Path) -> None:
    path = model.parent / "x.toml"
    path.write_text("abc")
    os.mkfifo(model.parent / "fifo.toml")

    assert b"abc" == own.read_own(str(path), (), 3)
    for name, reason in {
        str(path): "more than 2 bytes",
        str(model.parent / "fifo.toml"): "is a FIFO",
        str(model.parent): "is a directory",
        str(model.parent / "absent"): "no such file",
        "a\0b": "NUL",
        "/dev/zero": "is a device",
    }.items():
        with pytest.raises(UsageError, match=reason):
            own.read_own(name, (), 2)


def test_nothing_of_ours_is_read_or_written_inside(model: Path) -> None:
    (model / "x").write_text("abc")
    with pytest.raises(UsageError, match="lies inside SOURCE"):
        own.read_own(str(model / "x"), (str(model),), 9)
    with pytest.raises(UsageError, match="lies inside SOURCE"):
        own.write_own(str(model / "y"), "", (str(model),))

    assert not (model / "y").exists()


def test_a_file_is_written_whole_or_not_at_all(model: Path) -> None:
    own.write_own(str(model / "y"), "text", ())
    with pytest.raises(SourceUnreadable, match="no such file"):
        own.write_own(str(model / "absent" / "y"), "text", ())
    with pytest.raises(UsageError, match="is a directory"):
        own.write_own(str(model), "text", ())
    with pytest.raises(UsageError, match="NUL"):
        own.write_own("a\0b", "text", ())

    os.mkfifo(model / "fifo")
    with pytest.raises(UsageError, match="is no regular file"):
        own.write_own(str(model / "fifo"), "text", ())

    assert not (model / "fifo").is_file()
    assert "text" == (model / "y").read_text()
    assert [] == list(model.glob("*.part"))


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "setup.cfg"])
def test_the_root_of_a_project_ends_the_search(
    model: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    (model.parent / mark).mkdir()

    assert [str(model), str(model.parent)] == list(own.project_folders())
    (model / mark).mkdir()
    assert [str(model)] == list(own.project_folders())


def test_without_a_root_the_current_folder_is_all(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "project"))

    assert [str(model)] == list(own.project_folders())
    monkeypatch.setenv("HOME", str(model))
    assert [str(model)] == list(own.project_folders())
    monkeypatch.setenv("HOME", "/nowhere")
    assert [str(model), str(model.parent), str(tmp_path)] == list(own.project_folders())


def test_a_folder_of_another_owner_ends_the_search(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    monkeypatch.chdir(model)
    (model.parent / ".git").mkdir()
    os.chown(model.parent, 12345, 12345)

    assert [str(model)] == list(own.project_folders())


def test_a_current_folder_that_is_gone_is_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert [] == list(own.project_folders())
