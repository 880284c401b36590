"""`ckptscan pack`: where it writes, what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from tests.conftest import PACKS, file_of

PACK = PACKS / "Qwen--Qwen2-7B.ckptpack"


def pack(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["pack", *arguments])


def test_a_pack_is_written_where_asked(tmp_path: Path) -> None:
    result = pack(str(PACK), "-o", str(tmp_path / "x.ckptpack"))

    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "5.24 KiB" in result.stderr.replace(str(tmp_path), "")
    assert "headers of 14.19 GiB in 6 files" in result.stderr
    assert PACK.read_bytes() == (tmp_path / "x.ckptpack").read_bytes()


def test_by_default_it_is_named_after_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(file_of({"a": ("U8", [1])}))
    result = pack("a.safetensors")

    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.ckptpack").exists()


def test_a_file_in_the_way_is_replaced_only_by_force(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"precious")
    refused = pack(str(PACK), "-o", str(tmp_path / "x"))

    assert refused.exit_code == 2
    assert "replace it with --force" in refused.stderr
    assert (tmp_path / "x").read_bytes() == b"precious"
    assert pack(str(PACK), "-o", str(tmp_path / "x"), "--force").exit_code == 0
    assert (tmp_path / "x").read_bytes() != b"precious"


def test_a_folder_in_the_way_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(file_of({"a": ("U8", [1])}))
    result = pack(str(tmp_path), "-o", str(tmp_path), "--force")

    assert 2 == result.exit_code
    assert "is a directory" in result.stderr


def test_a_folder_without_weights_is_no_pack(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    result = pack(str(tmp_path), "-o", str(tmp_path / "x.ckptpack"))

    assert 3 == result.exit_code
    assert "no .safetensors file" in result.stderr
    assert not (tmp_path / "x.ckptpack").exists()
