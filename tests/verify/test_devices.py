"""Which device is meant, and what was tried where it is not there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ckptscan.errors import DeviceError, UsageError
from ckptscan.hardware import parse_devices
from ckptscan.verify import devices
from ckptscan.verify.devices import find_device, lack_of_torch, parse_device


def torch_with(cards: int = 0, cuda: str | None = "12.8", metal: bool = False) -> SimpleNamespace:
    """torch as it is on a machine with so many cards."""
    card = SimpleNamespace(total_memory=80 << 30, name="NVIDIA X", major=9, minor=0)
    return SimpleNamespace(
        __version__="2.9.0",
        Tensor=object,
        version=SimpleNamespace(cuda=cuda, hip=None),
        cuda=SimpleNamespace(
            is_available=lambda: cards > 0,
            device_count=lambda: cards,
            get_device_properties=lambda place: card,
            mem_get_info=lambda place: (70 << 30, 80 << 30),
        ),
        mps=SimpleNamespace(
            recommended_max_memory=lambda: 24 << 30, driver_allocated_memory=lambda: 1 << 30
        ),
        backends=SimpleNamespace(
            mps=SimpleNamespace(is_available=lambda: metal, is_built=lambda: metal)
        ),
    )


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "has_driver", lambda: False)
    monkeypatch.setattr(devices, "closed_devices", lambda: ["/dev/nvidia0"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def with_torch(monkeypatch: pytest.MonkeyPatch, torch: SimpleNamespace | None) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["gpu", "cuda:x", "cpu:1", "cuda:1000", "", "mps:0"])
def test_what_is_no_device(text: str) -> None:
    with pytest.raises(UsageError, match="is no device"):
        parse_device(text)


def test_a_card_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, torch_with(2))
    facts = find_device("cuda:1")

    assert ("cuda:1", "NVIDIA X", 80 << 30, 70 << 30, 90) == facts[:5]
    assert "torch 2.9.0, CUDA 12.8" == facts.software
    assert facts._replace(kind="cuda:0") == find_device("auto")._replace(kind="cuda:0")


def test_a_card_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, torch_with(2))
    with pytest.raises(DeviceError) as caught:
        find_device("cuda:2")

    assert "there is no cuda:2" == caught.value.message
    assert "cuda:0 to cuda:1" in caught.value.hint


@pytest.mark.parametrize(
    ("torch", "said", "hint"),
    [
        (None, "torch is not installed", "pip install 'ckptscan[gpu]'"),
        (torch_with(cuda=None), "torch sees no GPU", "is built without CUDA and ROCm"),
        (torch_with(), "torch sees no GPU", "nvidia-smi does not answer: no driver, or no card"),
        (torch_with(), "torch sees no GPU", "no permission for /dev/nvidia0"),
    ],
)
def test_what_was_tried_is_said(
    monkeypatch: pytest.MonkeyPatch, torch: SimpleNamespace | None, said: str, hint: str
) -> None:
    with_torch(monkeypatch, torch)
    with pytest.raises(DeviceError) as caught:
        find_device("cuda")

    assert 3 == caught.value.exit_code
    assert said == caught.value.message
    assert hint in caught.value.hint


def test_hidden_cards_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, torch_with())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DeviceError) as caught:
        find_device("cuda")

    assert "CUDA_VISIBLE_DEVICES is ''" in caught.value.hint


def test_cuda_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(place: int) -> None:
        raise RuntimeError("CUDA unknown error\nmore")

    torch = torch_with(1)
    torch.cuda.get_device_properties = fails
    with_torch(monkeypatch, torch)
    with pytest.raises(DeviceError, match="CUDA does not start: CUDA unknown error"):
        find_device("cuda")


def test_metal(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, torch_with(cuda=None, metal=True))

    assert ("mps", "Apple GPU", 24 << 30, 23 << 30) == find_device("auto")[:4]
    with_torch(monkeypatch, torch_with(cuda=None))
    with pytest.raises(DeviceError, match="there is no Metal device"):
        find_device("mps")


def test_the_host_stands_in_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with_torch(monkeypatch, torch_with())
    facts = find_device("auto")

    assert ("cpu", "torch sees no GPU; there is no Metal device") == (facts.kind, facts.note)
    assert facts.total is not None
    assert "" == find_device("cpu").note


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('libcudart.so.12: no such file\\nmore')",
         "torch does not load: libcudart.so.12: no such file"),
        ("raise ImportError('undefined symbol')", "torch does not load: undefined symbol"),
        ("", "what is found as torch is another module"),
    ],
)  # fmt: skip
def test_a_torch_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (tmp_path / "torch.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)

    assert said == lack_of_torch()
    assert ("cpu", said) == (find_device("auto").kind, find_device("auto").note)
    with pytest.raises(DeviceError, match=re.escape(said)):
        parse_devices("mine@torch")
    sys.modules.pop("torch", None)  # monkeypatch would put it back
