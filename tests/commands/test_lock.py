"""`ckptscan lock`, and `audit --lock` against what it wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from tests.conftest import PACKS, file_of
from tests.standin import Standin, repository_of_pack

QWEN = str(PACKS / "Qwen--Qwen2-7B.ckptpack")
W = {"a.weight": ("F32", [2, 2])}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(file_of(W))
    return tmp_path


def test_a_lock_is_named_after_the_source(folder: Path) -> None:
    result = run("lock", "model/")

    assert 0 == result.exit_code, result.output
    assert "" == result.stdout
    assert "1 tensor in 1 file, and 0 files beside them" in result.stderr
    assert "ckptscan.lock/1" == json.loads((folder / "model.lock.json").read_text())["schema"]
    assert 0 == run("audit", "model", "--lock", "model.lock.json", "--select", "L").exit_code


def test_a_lock_is_replaced_only_by_force_and_not_written_inside(folder: Path) -> None:
    (folder / "x").write_text("precious")
    refused = run("lock", "model", "-o", "x")
    inside = run("lock", "model", "-o", "model/x")

    assert (2, 2) == (refused.exit_code, inside.exit_code)
    assert "replace it with --force" in refused.stderr
    assert "lies inside SOURCE" in inside.stderr
    assert "precious" == (folder / "x").read_text()
    assert 0 == run("lock", "model", "-o", "x", "--force").exit_code
    assert 3 == run("lock", "nowhere").exit_code


def test_drift_makes_the_exit_code_1(folder: Path) -> None:
    run("lock", "model", "-o", "x")
    (folder / "model" / "model.safetensors").write_bytes(file_of({"a.weight": ("F16", [2, 2])}))
    result = run("audit", "model", "--lock", "x")

    assert 1 == result.exit_code
    assert "L003 dtype-drift: a.weight: F32 in the lock, F16 now" in result.stdout


def test_a_lock_of_a_pack_holds_for_it(folder: Path) -> None:
    run("lock", QWEN, "-o", "x")

    assert 0 == run("audit", QWEN, "--lock", "x", "--select", "L").exit_code
    assert 1 == run("audit", "model", "--lock", "x", "--select", "L").exit_code


def test_a_lock_of_a_repository_holds_for_its_pack(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Standin(repository_of_pack(QWEN, "Qwen/Qwen2-7B")) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("CKPTSCAN_CACHE", str(folder / "kept"))
        written = run("lock", "Qwen/Qwen2-7B", "-o", "x")
        again = run("audit", "Qwen/Qwen2-7B", "--lock", "x", "--select", "L")

    assert (0, 0) == (written.exit_code, again.exit_code), written.output + again.output
    assert "Qwen/Qwen2-7B" == json.loads((folder / "x").read_text())["source"]["title"]
    assert 0 == run("audit", QWEN, "--lock", "x", "--select", "L").exit_code


def test_a_lock_is_the_same_bytes_wherever_the_folder_lies(folder: Path) -> None:
    shutil.copytree(folder / "model", folder / "elsewhere" / "model")
    run("lock", "model", "-o", "x")
    run("lock", str(folder / "elsewhere" / "model"), "-o", "y")

    assert (folder / "x").read_bytes() == (folder / "y").read_bytes()
