"""What is loaded is what is there; each damage is found. On the host, with no torch."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ckptscan.dtypes import DTYPES
from ckptscan.errors import DeviceError, SourceUnreachable, UsageError
from ckptscan.sources import open_source
from ckptscan.verify import Wish, verify
from tests.checks.looking import llama
from tests.conftest import pack
from tests.content.dequantize.cases import CASES
from tests.content.dequantize.writing import IN
from tests.content.making import (
    Arrays,
    changed,
    raw_file,
    source_of,
    stored,
    structure_of,
    weights,
)
from tests.verify.making import begins, faults, lying, of_name, one_tensor

UP = "model.layers.4.mlp.up_proj.weight"
ARRAYS = weights(llama())


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptscan.verify.verifying.lack_of_torch", lambda: "torch is not installed")


def test_what_is_sound_matches() -> None:
    source, structure = lying(ARRAYS)
    found = verify(source, structure, device="cpu", digests=True)
    up = of_name(found, UP)
    raw = ARRAYS[UP][1]
    numbers = (raw.astype("<u4") << 16).view("<f4").astype("f8")

    assert found.match
    assert ({}, "", None) == (faults(found), found.stopped, found.error)
    assert hashlib.sha256(raw.tobytes()).hexdigest() == up.sha256
    assert np.abs(numbers).max() == up.figures.absmax
    assert (numbers.size, raw.nbytes, raw.nbytes) == (
        up.figures.count, up.device_bytes, up.predicted)  # fmt: skip
    assert pytest.approx(numbers.mean(), rel=1e-6) == up.figures.mean
    assert pytest.approx(numbers.std(), rel=1e-6) == up.figures.std
    assert ("kernels: torch is not installed, so no operation was tried",) == found.missing


def test_nothing_but_chosen_tensors_is_read_and_each_two_times() -> None:
    source, structure = lying(ARRAYS)
    found = verify(source, structure, Wish(match=lambda name: ".3.mlp." in name), "cpu")
    places = begins(structure)
    allowed = sorted(places[probe.name] for probe in found.probes)
    read = sum(length for _, length in source.ranges)

    assert 3 == len(found.probes)
    assert read == 2 * found.nbytes
    assert all(
        any(low <= start and start + length <= high for low, high in [_hull(allowed)])
        for start, length in source.ranges
    )
    assert 2 == len(source.ranges)  # what touches is read as one


def _hull(places: list[tuple[int, int]]) -> tuple[int, int]:
    """Places that lie end to end as one."""
    assert all(one[1] == two[0] for one, two in pairwise(places))
    return places[0][0], places[-1][1]


def test_parts_of_tables_are_read_and_not_what_lies_between() -> None:
    table = np.random.default_rng(0).standard_normal((1 << 14, 256)).astype("<f4")
    source, structure = lying({"model.embed_tokens.weight": ("F32", table)})
    found = verify(source, structure, device="cpu")
    ((begin, end),) = begins(structure).values()
    first, last = found.probes

    assert {begin, end - (1 << 20)} == {start for start, _ in source.ranges}
    assert (1024, 1024) == (first.pick.shape[0], last.pick.shape[0])
    assert np.abs(table[-1024:]).max() == last.figures.absmax
    lengths = np.sqrt((table[:1024].astype("f8") ** 2).sum(axis=1))
    assert first.norms is not None
    assert pytest.approx(lengths.max()) == first.norms.largest


def test_a_bit_that_flips_between_two_readings() -> None:
    source, structure = lying(ARRAYS)
    low, _ = begins(structure)[UP]

    def flip(times: int, start: int, raw: bytes) -> bytes:
        if times == 1 or not start <= low + 77 < start + len(raw):
            return raw
        at = low + 77 - start
        return raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]

    source.change = flip
    found = verify(source, structure, device="cpu")

    assert {UP: ("1 bytes differ when read again, the first at byte 77",)} == faults(found)
    assert not found.match


def test_a_file_that_shrinks_while_it_is_read() -> None:
    source, structure = lying(ARRAYS)
    low, _ = begins(structure)[UP]
    source.change = lambda _, start, raw: raw[: max(0, low + 100 - start)]
    found = verify(source, structure, device="cpu")

    assert ("its file ended while it was read",) == of_name(found, UP).faults
    assert 100 == of_name(found, UP).device_bytes
    assert not found.match


def test_a_file_that_the_reference_library_refuses_is_a_mismatch() -> None:
    source = source_of(raw_file(ARRAYS) + b"more")
    found = verify(source, structure_of(source), device="cpu")

    said = "model.safetensors: MetadataIncompleteBuffer: 4 bytes follow the last tensor"
    assert (said,) == found.faults
    assert not found.match


def test_a_file_that_is_promised_and_absent_is_a_mismatch(tmp_path: Path) -> None:
    (tmp_path / "model-1.safetensors").write_bytes(raw_file(ARRAYS))
    places = {"weight_map": {UP: "model-1.safetensors", "x.weight": "model-2.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(places))
    source = open_source(str(tmp_path))
    found = verify(source, structure_of(source), Wish(match=UP.__eq__), "cpu")  # type: ignore[arg-type]

    assert any("model-2.safetensors" in fault for fault in found.faults)
    assert not found.match


def test_a_local_file_that_shrinks_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw_file(ARRAYS))
    source = open_source(str(path))
    structure = structure_of(source)  # type: ignore[arg-type]
    os.truncate(path, begins(structure)[UP][0] + 100)
    found = verify(source, structure, device="cpu")

    assert ("its file ended while it was read",) == of_name(found, UP).faults


def test_a_file_that_is_written_meanwhile_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw_file(ARRAYS))
    source = open_source(str(path))
    structure = structure_of(source)  # type: ignore[arg-type]

    class Touching:
        def begin(self, total: int) -> None: ...
        def end(self) -> None: ...
        def advance(self, nbytes: int) -> None:
            os.utime(path, ns=(1, 1))

    found = verify(source, structure, device="cpu", progress=Touching())

    assert ("model.safetensors: it was written while it was read",) == found.faults
    assert not found.match


@pytest.mark.parametrize(
    ("odd", "said"),
    [(np.nan, "1 of 16,384 elements are NaN"), (-np.inf, "1 of 16,384 elements are infinite")],
)
def test_what_is_no_number_in_a_weight(odd: float, said: str) -> None:
    array = np.random.default_rng(0).standard_normal((256, 64))
    array[3, 3] = odd
    source, structure = lying(changed(ARRAYS, {UP: stored("BF16", array)}))
    found = verify(source, structure, device="cpu")

    assert {UP: (said,)} == faults(found)
    assert not found.match


def test_a_mask_may_hold_infinities() -> None:
    mask = np.triu(np.full((1, 1, 8, 8), -np.inf), 1)
    arrays = weights(llama([0])) | {"model.layers.0.self_attn.bias": ("F32", stored("F32", mask))}
    source, structure = lying(arrays)
    roles = {structure.role(one) for one in structure.families}

    assert "buffer" in roles
    assert {} == faults(verify(source, structure, device="cpu"))


@pytest.mark.parametrize(
    ("real", "claimed", "said"),
    [
        ("F16", "BF16", "its bits are spread as those of F16 are, not of BF16"),
        ("BF16", "F16", "its bits are spread as those of BF16 are, not of F16"),
        ("F32", "I32", "its bits are spread as those of F32 are, not of I32"),
        ("F64", "I64", "its bits are spread as those of F64 are, not of I64"),
        ("BF16", "U16", "its bits are spread as those of BF16 are, not of U16"),
    ],
)
def test_a_header_that_promises_another_dtype_of_equal_size(
    real: str, claimed: str, said: str
) -> None:
    numbers = np.random.default_rng(1).standard_normal((256, 64)) * 0.02
    source, structure = lying(ARRAYS | {UP: (claimed, stored(real, numbers))})
    found = verify(source, structure, device="cpu")

    assert {UP: (said,)} == faults(found)
    assert not found.match


@pytest.mark.parametrize("scale", [1e-6, 0.02, 1.0, 300.0])
@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
@pytest.mark.slow
def test_weights_of_any_size_are_no_cause_for_doubt(dtype: str, scale: float) -> None:
    draw = np.random.default_rng(2)
    rows = draw.lognormal(0, 1, (256, 1))  # channels of several sizes
    for numbers in (draw.standard_normal((256, 64)), draw.uniform(-1, 1, (256, 64)),
                    draw.laplace(0, 1, (256, 64)) * rows):  # fmt: skip
        source, structure = lying(ARRAYS | {UP: (dtype, stored(dtype, numbers * scale))})

        assert {} == faults(verify(source, structure, device="cpu"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_loaded(dtype: str) -> None:
    bits = DTYPES[dtype].bits or 8
    raw = np.random.default_rng(3).integers(0, 64, 48 * bits // 8).astype("u1")
    raw = raw & 1 if dtype == "BOOL" else raw
    source = source_of(one_tensor(dtype, (4, 12), raw.tobytes()))
    found = verify(source, structure_of(source), device="cpu", digests=True)

    assert [hashlib.sha256(raw.tobytes()).hexdigest()] == [one.sha256 for one in found.probes]
    assert 48 * (2 if dtype == "C64" else 1) == found.probes[0].figures.count


@pytest.mark.parametrize("case", ["gptq-4", "awq", "fp8-block", "nf4", "fp8-tensor", "packed-4"])
def test_scales_that_are_zero(case: str) -> None:
    arrays: Arrays = dict(CASES[case]().tensors)
    sound = source_of(raw_file(arrays), config={"hidden_size": IN})
    for name, (dtype, array) in arrays.items():
        if name.endswith(("scales", "scale_inv", "absmax", "weight_scale", "biases")):
            arrays[name] = dtype, np.zeros_like(array)
    source = source_of(raw_file(arrays), config={"hidden_size": IN})

    assert verify(sound, structure_of(sound), device="cpu").match
    found = verify(source, structure_of(source), device="cpu")
    assert not found.match
    assert "scales are zero" in found.faults[0]


def test_scales_of_an_erased_weight_may_be_zero() -> None:
    arrays = {name: (dtype, np.zeros_like(array)) for name, (dtype, array)
              in CASES["fp8-block"]().tensors.items()}  # fmt: skip
    source = source_of(raw_file(arrays), config={"hidden_size": IN})

    assert verify(source, structure_of(source), device="cpu").match


def test_a_device_that_is_too_small() -> None:
    source, structure = lying(ARRAYS)
    found = verify(source, structure, Wish(layers=None), "cpu", room=100_000)

    assert isinstance(found.error, DeviceError)
    assert found.stopped == found.error.message
    assert "131,072 bytes, 100,000 are free" in found.stopped
    assert "--max-bytes" in found.error.hint


def test_an_interrupt_leaves_what_was_found() -> None:
    source, structure = lying(ARRAYS)
    reached = threading.Event()

    def wait(times: int, start: int, raw: bytes) -> bytes:
        if start > begins(structure)[UP][0]:
            reached.set()
            raise KeyboardInterrupt  # as it comes out of the main thread
        return raw

    source.change = wait
    found = verify(source, structure, Wish(match=lambda name: "norm" in name), "cpu")

    assert reached.is_set()
    assert "interrupted" == found.stopped
    assert None is found.error
    assert 0 < len(found.probes) < len(found.choice.picks)


def test_a_source_that_fails_leaves_what_was_found() -> None:
    source, structure = lying(ARRAYS)

    def fail(times: int, start: int, raw: bytes) -> bytes:
        if start > begins(structure)[UP][0]:
            raise SourceUnreachable("the net is gone")
        return raw

    source.change = fail
    found = verify(source, structure, Wish(match=lambda name: "norm" in name), "cpu")

    assert "the net is gone" == found.stopped
    assert isinstance(found.error, SourceUnreachable)
    assert found.probes


def test_a_pack_holds_no_tensors() -> None:
    source = pack("google-bert--bert-base-uncased")
    with pytest.raises(UsageError, match="holds no tensors"):
        verify(source, structure_of(source), device="cpu")  # type: ignore[arg-type]


@pytest.fixture
def _blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "torch", None)
    return


@pytest.mark.usefixtures("_blocked")
def test_without_torch_the_host_stands_in_and_says_so() -> None:
    source, structure = lying(ARRAYS)
    found = verify(source, structure, device="auto")

    assert ("cpu", "torch is not installed") == (found.device.kind, found.device.note)
    assert found.match
    with pytest.raises(DeviceError, match="torch is not installed"):
        verify(source, structure, device="cuda")
