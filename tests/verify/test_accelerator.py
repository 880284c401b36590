"""The way onto a device of torch, tried on the host: it finds what the way without torch finds."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ckptscan.content.reading import Nobody
from ckptscan.dtypes import DTYPES
from ckptscan.errors import DeviceError
from ckptscan.sources import Source, open_source
from ckptscan.structure import Structure
from ckptscan.verify import Probe, Wish, verify
from ckptscan.verify.choosing import choose
from ckptscan.verify.reading import Reader, batches_of
from ckptscan.verify.scene import Scene
from tests.checks.looking import llama
from tests.content.making import changed, raw_file, stored, structure_of, weights
from tests.verify.making import begins, lying, one_tensor

torch = pytest.importorskip("torch", reason="torch is not installed: the extra gpu")
UP = "model.layers.4.mlp.up_proj.weight"
ARRAYS = weights(llama())


def loaded(
    source: Any, structure: Structure, device: str = "cpu", room: int | None = None, **wish: Any
) -> list[Probe]:
    """What is found on a device of torch."""
    from ckptscan.verify.accelerator import Accelerator
    from ckptscan.verify.memory import Memory
    from ckptscan.verify.torch_files import TorchFiles

    choice = choose(structure, Wish(**wish))
    roles = {row: structure.role(one) for one in structure.families for row in one.rows}
    reader = Reader(source)
    scene = Scene(structure, reader, Nobody(), digests=True, room=room, roles=roles)
    batches = list(batches_of(structure.checkpoint.table, choice.picks, reader.most))
    memory = Memory(torch.device(device))
    files = TorchFiles(source, (one.path for one in batches), memory.device)
    return list(Accelerator(scene, memory, files).probes(batches))


def told(probes: Any) -> list[tuple[object, ...]]:
    """What does not depend on the device; sums are rounded differently."""
    return [
        (one.name, one.pick, one.sha256, one.device_bytes, one.figures.nan, one.figures.zeros,
         one.figures.min, one.figures.max, one.faults) for one in probes
    ]  # fmt: skip


def local(path: Path, raw: bytes) -> tuple[Source, Structure]:
    path.write_bytes(raw)
    source = open_source(str(path))
    return source, structure_of(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("wish", [{}, {"everything": True}, {"most": 64 << 10}])
def test_both_ways_find_the_same(tmp_path: Path, wish: dict[str, Any]) -> None:
    array = np.random.default_rng(0).standard_normal((256, 64))
    array[3, 3] = np.nan
    raw = raw_file(changed(ARRAYS, {UP: stored("BF16", array)}))
    source, structure = local(tmp_path / "model.safetensors", raw)
    expected = verify(source, structure, Wish(**wish), "cpu", digests=True).probes
    found = loaded(source, structure, **wish)

    assert told(expected) == told(found)
    for one, two in zip(expected, found, strict=True):
        assert one.figures.std == pytest.approx(two.figures.std, rel=1e-5)
        assert (one.norms is None) == (two.norms is None)


def test_ranges_do_what_files_do(tmp_path: Path) -> None:
    source, structure = lying(ARRAYS)
    disk, same = local(tmp_path / "model.safetensors", raw_file(ARRAYS))
    by_ranges, by_files = loaded(source, structure), loaded(disk, same)
    read = sum(length for _, length in source.ranges)

    assert told(by_ranges) == told(by_files)
    assert 2 * sum(one.pick.nbytes for one in by_ranges) == read


def test_a_large_tensor_comes_in_pieces(tmp_path: Path) -> None:
    array = np.random.default_rng(0).standard_normal((1500, 1024)).astype("<f4")
    source, structure = lying({"model.layers.0.mlp.up_proj.weight": ("F32", array)})
    (probe,) = loaded(source, structure)

    assert hashlib.sha256(array.tobytes()).hexdigest() == probe.sha256
    assert 4 == len(source.ranges)
    assert () == probe.faults


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_onto_the_device(tmp_path: Path, dtype: str) -> None:
    bits = DTYPES[dtype].bits or 8
    raw = np.random.default_rng(3).integers(0, 64, 48 * bits // 8).astype("u1")
    raw = raw & 1 if dtype == "BOOL" else raw
    whole = one_tensor(dtype, (4, 12), raw.tobytes())
    source, structure = local(tmp_path / "model.safetensors", whole)
    (expected,) = verify(source, structure, device="cpu", digests=True).probes
    (found,) = loaded(source, structure)

    assert told([expected]) == told([found])


def test_a_bit_that_flips_on_the_way() -> None:
    source, structure = lying(ARRAYS)
    low, _ = begins(structure)[UP]

    def flip(times: int, start: int, raw: bytes) -> bytes:
        at = low + 77 - start
        if times == 1 or not 0 <= at < len(raw):
            return raw
        return raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]

    source.change = flip
    found = {one.name: one.faults for one in loaded(source, structure) if one.faults}

    assert {UP: ("1 bytes differ when read again, the first at byte 77",)} == found


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    source, structure = local(path, raw_file(ARRAYS))
    place = begins(structure)[UP][0] + 100

    class Cut:
        origin = source.origin
        files = source.files
        location = source.location  # type: ignore[attr-defined]

        def read(self, path_: str, start: int, length: int) -> bytes:
            os.truncate(path, place)
            return source.read(path_, start, length)

    found = {one.name: one.faults for one in loaded(Cut(), structure)}

    assert "its file ended while it was read" in found[UP]


def test_a_file_that_safetensors_refuses(tmp_path: Path) -> None:
    raw = raw_file(ARRAYS)
    source, structure = local(tmp_path / "model.safetensors", raw + b"more")
    from ckptscan.verify.torch_files import TorchFiles

    files = TorchFiles(source, ["model.safetensors"], torch.device("cpu"))

    assert "safetensors does not open it" in files.problems["model.safetensors"]
    assert 0 < len(loaded(source, structure))


def test_a_device_that_is_too_small() -> None:
    source, structure = lying(ARRAYS)
    with pytest.raises(DeviceError, match="131,072 bytes, 100,000 are free"):
        loaded(source, structure, room=100_000)


def test_operations_in_stored_dtypes_are_tried() -> None:
    source, structure = lying(ARRAYS)
    found = verify(source, structure, device="cpu")

    assert [("BF16", "embedding"), ("BF16", "linear")] == [
        (one.dtype, one.operation) for one in found.trials
    ]
    assert not any(one.refused or one.problem or one.skipped for one in found.trials)
    assert found.match


@pytest.mark.parametrize("shape", [(4, 3), (12, 1), (2, 3, 2)])
def test_rows_of_no_whole_bytes_are_loaded(tmp_path: Path, shape: tuple[int, ...]) -> None:
    whole = one_tensor("F4", shape, bytes(range(6)))
    source, structure = local(tmp_path / "model.safetensors", whole)
    expected = verify(source, structure, device="cpu", digests=True)
    found = loaded(source, structure)

    assert told(expected.probes) == told(found)
    assert all(one.skipped for one in expected.trials)


def test_an_operation_is_tried_on_another_tensor_where_one_is_unfit() -> None:
    draw = np.random.default_rng(0)
    small, large = (draw.integers(-9, 9, shape).astype("i1") for shape in ((4, 4), (32, 64)))
    source, structure = lying({"a.weight": ("I8", small), "b.weight": ("I8", large)})
    found = verify(source, structure, device="cpu")

    assert [("b.weight", "")] == [(one.tensor, one.skipped) for one in found.trials]
