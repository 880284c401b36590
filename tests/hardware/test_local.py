"""The cards of a machine: a driver's program that answers, fails, hangs or lies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ckptscan.errors import DeviceError, UsageError
from ckptscan.hardware import local, parse_devices

MIB = 1 << 20


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the driver's place; the caller writes what it does."""
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(local, "_apple_memory", lambda: 0)
    return program


def says(program: Path, text: str) -> None:
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_a_card_of_the_catalogue_keeps_what_torch_sees_of_it(driver: Path) -> None:
    says(
        driver, "printf 'NVIDIA H100 80GB HBM3, 81559, 9.0\\nNVIDIA H100 80GB HBM3, 81559, 9.0\\n'"
    )
    mine = parse_devices("mine")

    assert (2, 90, "NVIDIA H100 80GB HBM3") == (
        mine.count, mine.card.capability, mine.card.name)  # fmt: skip
    assert parse_devices("h100").card.total_bytes == mine.card.total_bytes


def test_a_card_that_nobody_knows_is_estimated(driver: Path) -> None:
    says(driver, "echo 'NVIDIA Future 9000, 100000, 9.5'")
    card = parse_devices("mine").card

    assert (100000 * MIB, 95, "estimated") == (card.driver_bytes, card.capability, card.label)
    assert card.total_bytes < 100000 * MIB


def test_an_old_driver_is_asked_for_less(driver: Path) -> None:
    says(driver, 'case "$1" in *cap*) exit 2;; esac; echo "Tesla T4, 15360"')

    assert parse_devices("t4").card.total_bytes == parse_devices("mine").card.total_bytes


@pytest.mark.parametrize(
    "text",
    ["exit 9", "echo 'No devices were found'", "head -c 3000000 /dev/zero", "echo 'x, -5, 9.0'"],
    ids=["fails", "none", "noise", "nonsense"],
)
def test_a_driver_that_tells_nothing_is_said(driver: Path, text: str) -> None:
    says(driver, text)

    with pytest.raises(DeviceError, match="no card that a driver tells of"):
        parse_devices("mine")


def test_a_driver_that_hangs_is_left(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "TIMEOUT", 0.2)
    says(driver, "exec sleep 30")

    with pytest.raises(DeviceError, match="no card"):
        parse_devices("mine")


def test_without_a_driver_it_is_said(driver: Path) -> None:
    assert not driver.exists()
    with pytest.raises(DeviceError, match="no card"):
        parse_devices("mine")


def test_cards_that_differ_are_named(driver: Path) -> None:
    says(driver, "echo 'NVIDIA A10, 23028, 8.6'; echo 'Tesla T4, 15360, 7.5'")

    with pytest.raises(UsageError) as caught:
        parse_devices("mine")

    assert "NVIDIA A10, Tesla T4" in caught.value.message
    assert "--gpu 2x" in caught.value.hint


def test_a_hostile_name_stays_a_name(driver: Path) -> None:
    says(driver, "printf 'evil\\033[2J\\342\\200\\256, 1000, 9.0\\n'")

    assert parse_devices("mine").card.name.isprintable()


def test_unified_memory_of_an_apple(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_apple_memory", lambda: 16 << 30)

    assert 11_453_246_122 == parse_devices("mine").card.total_bytes


@pytest.mark.parametrize(
    ("name", "nbytes", "label"),
    [
        ("apple-16gb", 11_453_246_122, "engine"),
        ("apple-64gb", (64 << 30) * 78 // 100, "estimated"),
        ("Apple M4 Max 128 GB", (128 << 30) * 78 // 100, "estimated"),
        ("apple-8gb", (8 << 30) * 2 // 3, "estimated"),
    ],
)
def test_apples_of_any_size(name: str, nbytes: int, label: str) -> None:
    card = parse_devices(name).card

    assert (nbytes, label) == (card.total_bytes, card.label)


def test_torch_is_asked_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    seen = SimpleNamespace(total_memory=85_000_000_000, name="NVIDIA H100", major=9, minor=0)
    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 2, get_device_properties=lambda _: seen
    )
    torch = SimpleNamespace(Tensor=object, cuda=cuda, version=SimpleNamespace(cuda="12.8"))
    monkeypatch.setitem(sys.modules, "torch", torch)
    mine = parse_devices("mine@torch")

    assert (85_000_000_000, "engine", 2) == (mine.card.total_bytes, mine.card.label, mine.count)


def test_a_driver_that_fails_under_torch_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    def fails() -> bool:
        raise RuntimeError("CUDA unknown error\nmore")

    torch = SimpleNamespace(Tensor=object, cuda=SimpleNamespace(is_available=fails))
    monkeypatch.setitem(sys.modules, "torch", torch)

    with pytest.raises(DeviceError, match=r"CUDA does not start: CUDA unknown error$"):
        parse_devices("mine@torch")


def test_torch_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(DeviceError, match="torch is not installed"):
        parse_devices("mine@torch")
