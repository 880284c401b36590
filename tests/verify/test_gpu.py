"""The same on a CUDA device: what is found, and memory to the byte, however it is split."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ckptscan.checkpoint import load
from ckptscan.sources import open_source
from ckptscan.structure import describe
from ckptscan.verify import Wish, verify
from tests.checks.looking import llama
from tests.content.making import FILE, raw_file, stored, weights

pytestmark = pytest.mark.gpu
SIZES = (1, 200, 1 << 10, 300 << 10, 1 << 20, 3 << 20, 6 << 20, 12 << 20, 40 << 20)  # bytes


@pytest.fixture(scope="module", autouse=True)
def _card() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: the extra gpu")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Tensors of all sizes at which the allocator changes its mind, and a small model."""
    draw = np.random.default_rng(0)
    sizes = {
        f"odd.{place}.{shift}": ("U8", draw.integers(0, 255, size + shift).astype("u1"))
        for place, size in enumerate(SIZES)
        for shift in (0, 1, 511)
    }
    half = {"half.weight": ("F16", stored("F16", draw.standard_normal((2048, 2048)) * 0.02))}
    path = tmp_path / FILE
    path.write_bytes(raw_file({**weights(llama()), **sizes, **half}))
    return path


def test_the_card_finds_what_the_host_finds(model: Path) -> None:
    source = open_source(str(model))
    structure = describe(load(source))
    wish = Wish(everything=True)
    here = verify(source, structure, wish, "cpu", digests=True)
    there = verify(source, structure, wish, "cuda", digests=True)

    assert there.match, [one.faults for one in there.probes if one.faults]
    assert there.predicted_bytes == there.allocated_bytes
    assert [(one.name, one.sha256, one.figures.min, one.figures.max) for one in here.probes] == [
        (one.name, one.sha256, one.figures.min, one.figures.max) for one in there.probes
    ]
    assert all(not one.problem for one in there.trials)
    assert there.throughput.to_device is not None


@pytest.mark.parametrize("settings", ["", "max_split_size_mb:21", "expandable_segments:True"])
def test_memory_is_predicted_to_the_byte(model: Path, settings: str) -> None:
    command = [sys.executable, "-m", "ckptscan", "verify", str(model), "--all", "--format", "json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if settings:
        environment["PYTORCH_CUDA_ALLOC_CONF"] = settings
    done = subprocess.run(
        [*command, "--device", "cuda"], capture_output=True, text=True, env=environment, check=False
    )
    document: dict[str, Any] = json.loads(done.stdout)
    wrong = [
        (one["name"], one["device_bytes"], one["predicted_bytes"])
        for one in document["tensors"]
        if one["device_bytes"] != one["predicted_bytes"]
    ]

    assert [] == wrong
    assert 0 == done.returncode
