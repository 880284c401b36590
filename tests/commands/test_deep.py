"""`ckptscan audit --deep`, `--peek`, `--hash`: arguments in, exit code out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from ckptscan.commands.deep import Amount
from ckptscan.content import Sample
from tests.checks.looking import float8, llama
from tests.conftest import PACKS
from tests.content.making import FILE, changed, raw_file, stored, weights

UP = "model.layers.3.mlp.up_proj.weight"
QWEN = str(PACKS / "Qwen--Qwen2-7B.ckptpack")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model with a NaN in it."""
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))
    array = np.random.default_rng(0).standard_normal((256, 64))
    array[3, 3] = np.nan
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / FILE).write_bytes(raw_file(changed(weights(llama()), {UP: stored("BF16", array)})))
    return str(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["audit", *arguments])


def document(*arguments: str) -> dict[str, Any]:
    loaded = json.loads(run(*arguments, "--format", "json").stdout)
    assert isinstance(loaded, dict)
    return loaded


def reasons(found: dict[str, Any]) -> dict[str, str]:
    return {one["code"]: one["reason"] for one in found["checks"]["skipped"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([], 0, id="headers"),
        pytest.param(["--deep"], 1, id="deep"),
        pytest.param(["--deep", "--match", "*.3.mlp.*"], 1, id="where it is"),
        pytest.param(["--deep", "--match", "/layers.2/"], 0, id="where it is not"),
        pytest.param(["--deep", "--sample", "100%"], 1, id="all of it"),
        pytest.param(["--deep", "--sample", "64KiB", "--seed", "3", "--no-resume"], 1, id="sample"),
        pytest.param(["--peek"], 0, id="peek"),
        pytest.param(["--hash"], 0, id="hash"),
        pytest.param(["--match", "x"], 2, id="match alone"),
        pytest.param(["--sample", "1%"], 2, id="sample alone"),
        pytest.param(["--deep", "--seed", "1"], 2, id="seed alone"),
        pytest.param(["--deep", "--sample", "0%"], 2, id="no sample"),
        pytest.param(["--deep", "--sample", "101%"], 2, id="more than all"),
        pytest.param(["--deep", "--sample", "some"], 2, id="no amount"),
    ],
)
def test_the_exit_code(model: str, arguments: list[str], code: int) -> None:
    assert code == run(model, *arguments).exit_code


@pytest.mark.parametrize("option", ["--match", "--sample", "--seed"])
def test_what_limits_deep_says_so(model: str, option: str) -> None:
    value = "5%" if option == "--sample" else "1"

    assert "add --" in run(model, option, value).stderr


@pytest.mark.parametrize(
    ("text", "sample"),
    [
        ("5%", Sample(share=5.0)),
        ("0.5 %", Sample(share=0.5)),
        ("4096", Sample(nbytes=4096)),
        ("64KiB", Sample(nbytes=65536)),
        ("2mb", Sample(nbytes=2 * 10**6)),
        ("1G", Sample(nbytes=1 << 30)),
    ],
)
def test_amounts(text: str, sample: Sample) -> None:
    assert sample == Amount().convert(text, None, None)


def test_the_json_tells_what_was_read(model: str) -> None:
    found = document(model, "--deep")
    plain = document(model)

    assert ["V001"] == [one["code"] for one in found["findings"] if one["severity"] == "error"]
    assert "content" not in plain
    assert {
        "bytes_read": found["content"]["bytes_read"],
        "bytes_resumed": 0,
        "tensors_read": 75,
        "tensors_unread": 0,
        "sampled": None,
        "limited": False,
        "resumed": False,
    } == found["content"]


def test_what_was_not_asked_for_is_skipped_with_a_reason(model: str) -> None:
    plain, hashed = reasons(document(model)), reasons(document(model, "--deep", "--hash"))
    packed = reasons(document(QWEN, "--deep", "--hash"))

    assert ["asks for --deep", "asks for --hash", "asks for --peek or --deep"] == [
        plain[code] for code in ("V001", "V005", "V006")
    ]
    assert "no sha256 of these files is known to hold them against" == hashed["V005"]
    assert "V001" not in hashed
    assert {"a header pack holds no tensors"} == {packed[code] for code in ("V001", "V005", "V006")}


def test_peek_reads_scales(tmp_path: Path) -> None:
    arrays = weights(float8(llama()))
    scale = f"{UP}_scale"
    arrays = changed(arrays, {scale: stored("BF16", np.zeros((256, 1)))})
    (tmp_path / FILE).write_bytes(raw_file(arrays))

    assert "V006 bad-scale" in run(str(tmp_path), "--peek").stdout


def test_the_text_says_how_much_was_read(model: str) -> None:
    assert "; 75 tensors read\n" in run(model, "--deep").stdout
    sampled = run(model, "--deep", "--sample", "50%").stdout

    assert "75 tensors read (50% of each tensor, seed 0)\n" in sampled


@pytest.mark.slow
def test_an_interrupt_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Ctrl-C, of a file of 2 GiB."""
    monkeypatch.setenv("CKPTSCAN_CACHE", str(tmp_path / "kept"))
    part = np.random.default_rng(0).standard_normal((4096, 4096)).astype("<f4")
    arrays = {f"model.layers.{n}.mlp.up_proj.weight": ("F32", part + n) for n in range(32)}
    (tmp_path / FILE).write_bytes(raw_file(arrays))
    command = [sys.executable, "-m", "ckptscan", "audit", str(tmp_path), "--deep"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.9)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate()
    second = document(str(tmp_path), "--deep")

    assert 130 == first.returncode
    assert "interrupted after" in said
    assert "the same command goes on from there" in said
    assert second["content"]["resumed"]
    total = second["content"]["bytes_read"] + second["content"]["bytes_resumed"]
    assert sum(array.nbytes for _, array in arrays.values()) == total
