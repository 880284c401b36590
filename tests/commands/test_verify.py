"""`ckptscan verify`: arguments in, exit code out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ckptscan.commands import cli
from tests.checks.looking import llama
from tests.conftest import PACKS, header_text
from tests.content.making import FILE, changed, raw_file, stored, weights

UP = "model.layers.3.mlp.up_proj.weight"


@cache
def damaged() -> bytes:
    """A model with a NaN in a layer that is not among the ends."""
    array = np.random.default_rng(0).standard_normal((256, 64))
    array[3, 3] = np.nan
    return raw_file(changed(weights(llama()), {UP: stored("BF16", array)}))


@pytest.fixture
def model(tmp_path: Path) -> str:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / FILE).write_bytes(damaged())
    return str(folder)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["verify", *arguments, "--device", "cpu"])


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param([], 0, id="ends and a middle"),
        pytest.param(["--all"], 1, id="all"),
        pytest.param(["--layers", "3"], 1, id="the layer"),
        pytest.param(["--layers", "0-2, 4"], 0, id="other layers"),
        pytest.param(["--match", "*.3.mlp.*"], 1, id="its name"),
        pytest.param(["--sample", "4", "--seed", "1"], 0, id="sample"),
        pytest.param(["--memory", "64KiB"], 3, id="too small a device"),
        pytest.param(["--layers", "9"], 2, id="no such layer"),
        pytest.param(["--layers", "3-1"], 2, id="no range"),
        pytest.param(["--all", "--layers", "3"], 2, id="all and some"),
        pytest.param(["--max-bytes", "much"], 2, id="no size"),
        pytest.param(["--set", "none"], 2, id="no such set"),
    ],
)
def test_the_exit_code(model: str, arguments: list[str], code: int) -> None:
    done = run(model, *arguments)

    assert code == done.exit_code, done.output
    assert "Traceback" not in done.output


def test_a_device_that_is_none(model: str) -> None:
    done = CliRunner().invoke(cli, ["verify", model, "--device", "tpu"])

    assert 2 == done.exit_code
    assert "'tpu' is no device; say auto, cpu, cuda, cuda:1 or mps" in done.output


def test_a_device_that_can_not_be_had(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    done = CliRunner().invoke(cli, ["verify", model, "--device", "cuda"])

    assert 3 == done.exit_code
    assert "error: torch is not installed\nhint: install it with" in done.stderr
    assert "" == done.stdout


def test_a_pack_holds_nothing_to_load() -> None:
    done = run(str(PACKS / "google-bert--bert-base-uncased.ckptpack"))

    assert 2 == done.exit_code
    assert "a header pack holds no tensors" in done.stderr


def test_what_audit_finds_odd_is_loaded(tmp_path: Path) -> None:
    tensors = llama()
    tensors[UP] = "F32", [256, 64]
    path = tmp_path / FILE
    path.write_bytes(raw_file(weights(tensors)))
    done = run(str(path), "--format", "json")

    assert UP in [one["name"] for one in json.loads(done.stdout)["tensors"]]


def test_the_document_holds_the_contract(model: str) -> None:
    done = run(model, "--layers", "3", "--digest", "--format", "json")
    document: dict[str, Any] = json.loads(done.stdout)
    (odd,) = [one for one in document["tensors"] if one["nan"]]

    assert "ckptscan.verify/1" == document["schema"]
    assert {"device", "tensors", "predicted_bytes", "allocated_bytes", "match", "throughput",
            "estimated_load_seconds"} < document.keys()  # fmt: skip
    assert {"name", "dtype", "shape", "bytes", "device_bytes", "nan", "inf", "absmax", "seconds",
            "sha256"} < odd.keys()  # fmt: skip
    assert UP == odd["name"]
    assert (False, False) == (document["match"], document["partial"])
    assert document["predicted_bytes"] == document["allocated_bytes"]
    assert 9 == document["loaded"]["tensors"] == document["chosen"]["tensors"]


def test_a_full_device_leaves_a_partial_report(model: str) -> None:
    done = run(model, "--memory", "64KiB", "--format", "json")

    assert json.loads(done.stdout)["partial"]
    assert "error: out of memory: model.embed_tokens.weight takes" in done.stderr


@pytest.mark.slow
def test_memory_does_not_grow_with_the_tensor(tmp_path: Path) -> None:
    peaks = []
    for rows in (1 << 10, 1 << 17):
        path = tmp_path / f"{rows}.safetensors"
        tensors = {"model.layers.0.mlp.up_proj.weight": ("BF16", [rows, 1024])}
        head = header_text(tensors).encode()
        with path.open("wb") as opened:
            opened.write(len(head).to_bytes(8, "little") + head)
            opened.truncate(8 + len(head) + rows * 2048)  # 256 MiB of zeros, of which none is kept
        command = [sys.executable, "-m", "ckptscan", "verify", str(path), "--all"]
        child = subprocess.Popen(
            [*command, "--device", "cpu"], stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        peaks.append(usage.ru_maxrss << 10)

        assert 0 == child.returncode
    assert peaks[1] - peaks[0] < 64 << 20


# Ctrl-C, at the moment when three tensors are done
INTERRUPTED = """
import signal
from ckptscan.commands import main
from ckptscan.verify.host import Host

def probes(self, batches, inner=Host.probes):
    for count, probe in enumerate(inner(self, batches)):
        if count == 3:
            signal.raise_signal(signal.SIGINT)
        yield probe

Host.probes = probes
main()
"""


def test_ctrl_c_leaves_a_partial_report(tmp_path: Path) -> None:
    path = tmp_path / FILE
    arrays = {
        f"model.layers.{n}.mlp.up_proj.weight": ("F32", np.zeros((64, 32), "<f4") + 1)
        for n in range(24)
    }
    path.write_bytes(raw_file(arrays))  # type: ignore[arg-type]
    options = ["--all", "--format", "json", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, "verify", str(path), *options],
        capture_output=True, check=False,
    )  # fmt: skip

    assert 130 == done.returncode
    assert b"interrupted after 24,576 of 196,608 bytes" in done.stderr
    report = json.loads(done.stdout)
    assert report["partial"]
