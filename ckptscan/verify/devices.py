"""Which device is meant, whether it is there, and what was tried where it is not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

from ckptscan.errors import DeviceError, UsageError
from ckptscan.hardware.local import (
    Seen,
    cards_of_torch,
    closed_devices,
    has_driver,
    torch_module,
)
from ckptscan.verify.values import DeviceFacts

AUTO, CPU = "auto", "cpu"
_NAME = re.compile(r"(auto|cpu|mps|cuda)(?::(\d{1,3}))?", re.ASCII)
_INSTALL = "install it with: pip install 'ckptscan[gpu]'; --device cpu needs no torch"


def parse_device(text: str) -> str:
    """The name of a device as it was typed, checked; raises UsageError for what is none."""
    match = _NAME.fullmatch(text.strip().lower())
    if match is None or (match[2] and match[1] != "cuda"):
        raise UsageError(f"{text[:80]!r} is no device", "say auto, cpu, cuda, cuda:1 or mps")
    return match[0]


def find_device(name: str) -> DeviceFacts:
    """The device of that name as it is now; `auto` is the first that is there, at last the host.

    Raises DeviceError, which says what was tried.
    """
    if name == CPU:
        return _host("")
    if name == "mps":
        return _metal()
    if name != AUTO:
        return _cuda(int(name.partition(":")[2] or 0))
    try:
        return _cuda(0)
    except DeviceError as error:
        reasons = [error.message]
    try:
        return _metal()
    except DeviceError as error:
        reasons.append(error.message)
    return _host("; ".join(dict.fromkeys(reasons)))


def lack_of_torch() -> str:
    """Why there is no torch to use, in words; empty where there is."""
    try:
        torch_module(_INSTALL)
    except DeviceError as error:
        return error.message
    return ""


def _host(note: str) -> DeviceFacts:
    total, free = _host_memory()
    return DeviceFacts(CPU, "host", total, free, note=note)


def _host_memory() -> tuple[int | None, int | None]:
    """Bytes of the host's memory, in all and free; None where the system does not tell."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        return page * os.sysconf("SC_PHYS_PAGES"), page * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None, None


def _cuda(place: int) -> DeviceFacts:
    torch = torch_module(_INSTALL)
    try:
        cards = cards_of_torch(torch, with_free=True)
    except RuntimeError as error:
        said = str(error).partition("\n")[0][:300]
        raise DeviceError(f"CUDA does not start: {said}", "; ".join(_tried(torch))) from error
    if not cards:
        raise DeviceError("torch sees no GPU", "; ".join(_tried(torch)))
    if place >= len(cards):
        there = f"there are {len(cards)}, cuda:0 to cuda:{len(cards) - 1}"
        raise DeviceError(f"there is no cuda:{place}", there if len(cards) > 1 else "say cuda:0")
    return _facts(f"cuda:{place}", cards[place], torch)


def _facts(kind: str, seen: Seen, torch: Any) -> DeviceFacts:
    card = seen.card
    runs_on = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    software = f"torch {torch.__version__}, {runs_on}"
    return DeviceFacts(kind, card.name, card.torch_bytes, seen.free, card.capability, software)


def _tried(torch: Any) -> Iterator[str]:
    """What was looked at to find out why there is no card, and what each look says."""
    version = torch.version
    if not version.cuda and not getattr(version, "hip", None):
        yield f"torch {torch.__version__} is built without CUDA and ROCm"
    else:
        yield f"torch {torch.__version__} is built for {version.cuda or version.hip}"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        yield f"CUDA_VISIBLE_DEVICES is {hidden[:40]!r}"
    yield (
        "nvidia-smi answers"
        if has_driver()
        else "nvidia-smi does not answer: no driver, or no card"
    )
    closed = closed_devices()
    if closed:
        yield f"no permission for {', '.join(closed[:4])}"
    yield "--device cpu loads on the host"


def _metal() -> DeviceFacts:
    torch = torch_module(_INSTALL)
    metal = torch.backends.mps
    if not metal.is_available():
        why = (
            "torch is built without Metal" if not metal.is_built() else "this is no Mac that has it"
        )
        raise DeviceError("there is no Metal device", f"{why}; --device cpu loads on the host")
    total = int(torch.mps.recommended_max_memory())
    free = total - int(torch.mps.driver_allocated_memory())
    return DeviceFacts("mps", "Apple GPU", total, free, software=f"torch {torch.__version__}")
