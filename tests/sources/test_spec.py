"""What the user typed: paths, globs, typos, addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptscan.errors import SourceNotFound, SourceUnreadable, UsageError
from ckptscan.sources import Access, expand, open_source, redacted


def test_a_glob_names_what_it_matches_in_natural_order(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        (tmp_path / f"m{number}").mkdir()

    assert [str(tmp_path / f"m{number}") for number in (1, 9, 10)] == expand(str(tmp_path / "m*"))


def test_a_glob_follows_no_link_and_finds_nothing_hidden(tmp_path: Path) -> None:
    (tmp_path / "a" / ".cache").mkdir(parents=True)
    for place in ("a/x.safetensors", "a/.cache/y.safetensors"):
        (tmp_path / place).write_bytes(b"")
    (tmp_path / "again").symlink_to(tmp_path)

    assert [str(tmp_path / "a" / "x.safetensors")] == expand(f"{tmp_path}/**/*.safetensors")


def test_what_is_no_glob_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")

    assert ["model.safetensors"] == expand("*.safetensors")
    assert ["model.safetensors"] == expand("./*.safetensors")
    with pytest.raises(SourceNotFound):
        expand("**/zzz[")


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="nothing matches"):
        expand(str(tmp_path / "*.nothing"))


def test_a_file_whose_name_is_a_glob_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a[1]").mkdir()

    assert [str(tmp_path / "a[1]")] == expand(str(tmp_path / "a[1]"))
    assert ["https://x.org/?a=*"] == expand("https://x.org/?a=*")


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("no-such-thing-at-all", "no such file or directory", "check the path"),
        ("org/model.safetensors", "no such file or directory", "written org/name"),
        ("a\0b", "no such file or directory", "check the path"),
    ],
)
def test_what_is_not_there_is_told_with_a_way_out(spec: str, message: str, hint: str) -> None:
    with pytest.raises(SourceNotFound) as caught:
        open_source(spec)

    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("ftp://u:p@host/x?token=1", "ftp://host/x: no kind of address that is known"),
        ("file:///etc/passwd", "file:///etc/passwd: no kind of address"),
        ("https://u:p@host:port/x?token=1", "https://host:port/x: no http address"),
        ("hf://a/b/../c", "hf://a/b/../c: no path within a repository"),
        ("hf://../etc", "hf://../etc: no name of a repository"),
        ("hf://org/name@", "hf://org/name@: no revision"),
        ("https://[bad/model.safetensors", "no http address"),
        (
            "https://u:token@huggingface.co/org/name/weird/x",
            "https://huggingface.co/org/name/weird",
        ),
        ("https://huggingface.co/o!rg/name#token", "https://huggingface.co/o!rg/name: no name"),
        ("https://hf-mirror.example/org/name/tree/main", "a page to look at, no file"),
        ("https://huggingface.co/org/name/discussions/3", "no address of a repository"),
    ],
)
def test_an_address_that_can_t_be_meant_is_a_usage_error(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_source(spec)

    assert message in caught.value.message
    assert caught.value.hint
    assert "token" not in caught.value.message + caught.value.hint


def test_a_path_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is on this disk"):
        open_source(str(tmp_path), Access(revision="main"))


def test_a_typo_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "Qwen2-57B").mkdir()

    with pytest.raises(SourceNotFound) as caught:
        open_source(str(tmp_path / "Qwen2-56B"))
    assert f"did you mean {tmp_path / 'Qwen2-57B'}?" == caught.value.hint


def test_a_slip_in_a_path_of_two_segments_is_not_sent_to_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models" / "Qwen2-57B").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SourceNotFound) as caught:
        open_source("models/Qwen2-56B")
    assert caught.value.hint.startswith(f"did you mean {Path('models', 'Qwen2-57B')}? ")
    assert caught.value.hint.endswith("hf://models/Qwen2-56B")


def test_an_empty_source_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="an empty source"):
        open_source("")


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("https://user:secret@host/a?sig=1#x", "https://host/a"),
        ("s3://bucket/key", "s3://bucket/key"),
        ("./a?b", "./a?b"),
        ("https://host/a@b", "https://host/a@b"),
        ("https://user:p@ss@host/a", "https://host/a"),
        (" https:/user:secret@host/#token=1", " https:/host/"),
        ("org/name@main", "org/name@main"),
        ("hf://gpt2@main", "hf://gpt2@main"),
        ("ms://org/name@v1/a?b", "ms://org/name@v1/a"),
        ("https://user:sec/ret@host/a", "https://host/a"),
        ("http://host:80/a@b", "http://host:80/a@b"),
    ],
)
def test_secrets_of_an_address_are_not_shown(spec: str, shown: str) -> None:
    assert shown == redacted(spec)


def test_a_path_that_can_t_be_looked_at_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.safetensors").write_bytes(b"")
    monkeypatch.setattr("os.stat", refuse)

    with pytest.raises(SourceUnreadable, match="permission denied"):
        open_source(str(tmp_path / "a.safetensors"))
