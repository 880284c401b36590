"""The cards of this machine, as its driver tells them; nothing is loaded and nothing is installed.

`nvidia-smi` answers for NVIDIA, `sysctl` for Apple's unified memory. torch is asked only where it
is wanted (`mine@torch`): its figure is the one that engines count from.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

from ckptscan.errors import DeviceError, UsageError
from ckptscan.hardware.cards import CARDS, MIB, Card, Devices, apple

TIMEOUT = 20  # seconds; a driver that wakes its cards takes some
_MOST_OUTPUT = 1 << 20
_QUERIES = ("name,memory.total,compute_cap", "name,memory.total")
# NVIDIA H100 80GB HBM3, 81559, 9.0
_LINE = re.compile(
    r"(?P<name>[^,\n]{1,200}?)\s*,\s*(?P<mib>\d{1,9})\s*(?:MiB)?\s*(?:,\s*(?P<major>\d)\.(?P<minor>\d))?",
    re.ASCII,
)
_WORD = re.compile(r"[a-z]+\d+\w*|\d{4}", re.ASCII)


def local_devices(with_torch: bool = False) -> Devices:
    """The cards of this machine; raises where there is none, or where they are not alike."""
    if with_torch:
        return _asked_of_torch()
    found = _nvidia()
    if found:
        return _alike(found)
    memory = _apple_memory()
    if memory:
        return Devices(apple(memory), 1)
    raise DeviceError(
        "this machine has no card that a driver tells of",
        "nvidia-smi does not answer; say --gpu h100 or 24GiB",
    )


def _alike(cards: Sequence[Card]) -> Devices:
    """Cards of one kind; of several kinds none is taken without being asked."""
    kinds = {card.name: card for card in cards}
    if len(kinds) > 1:
        smallest = min(cards, key=lambda card: card.total_bytes)
        count, size = len(cards), smallest.total_bytes // MIB
        raise UsageError(
            f"the cards of this machine differ: {', '.join(sorted(kinds))[:300]}",
            f"plan for one kind; as many of the smallest are --gpu {count}x{size}MiB",
        )
    return Devices(cards[0], len(cards))


def _nvidia() -> list[Card]:
    """What nvidia-smi lists; nothing where there is none or it fails."""
    program = shutil.which("nvidia-smi")
    for query in _QUERIES if program else ():
        text = _output([program or "", f"--query-gpu={query}", "--format=csv,noheader,nounits"])
        lines = [_LINE.fullmatch(line.strip()) for line in text.splitlines()[:4096]]
        cards = [_card(line) for line in lines if line is not None]
        if cards:
            return cards
    return []


def _card(line: re.Match[str]) -> Card:
    """The card of a line; what torch sees of it is known where the catalogue has its like."""
    name, nbytes = "".join(filter(str.isprintable, line["name"])), int(line["mib"]) * MIB
    capability = int(line["major"]) * 10 + int(line["minor"]) if line["major"] else 0
    like = _like(name, nbytes)
    if like is not None:
        return replace(like, name=name, source="nvidia-smi of this machine")
    return Card(name, (), round(nbytes / 10**9), nbytes, None, None, None, capability or 1,
                "nvidia-smi of this machine")  # fmt: skip


def _like(name: str, nbytes: int) -> Card | None:
    """The card of the catalogue with as many bytes, whose name holds the same model."""
    words = set(_WORD.findall(name.lower()))
    for card in CARDS:
        known = {word for alias in card.aliases for word in _WORD.findall(alias)}
        if card.driver_bytes == nbytes and card.capability and words & known:
            return card
    return None


def _apple_memory() -> int:
    """Bytes of unified memory; 0 where this is no Apple with a chip of its own."""
    import platform

    if (platform.system(), platform.machine()) != ("Darwin", "arm64"):
        return 0
    text = _output(["/usr/sbin/sysctl", "-n", "hw.memsize"]).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _output(command: Sequence[str]) -> str:
    """What a program of the system writes; nothing where it fails or hangs."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout[:_MOST_OUTPUT].decode("utf-8", "replace")


def _asked_of_torch() -> Devices:
    """The cards as torch sees them; raises DeviceError where it is not installed or sees none."""
    hint = "--gpu mine asks the driver alone"
    try:
        seen = cards_of_torch(torch_module(hint))
    except RuntimeError as error:
        said = str(error).partition("\n")[0][:300]
        raise DeviceError(f"CUDA does not start: {said}", hint) from error
    if not seen:
        raise DeviceError("torch sees no card", hint)
    return _alike([one.card for one in seen])


class Seen(NamedTuple):
    """A card as torch sees it now; `free` bytes are left on it, None where it does not tell."""

    card: Card
    free: int | None = None


def torch_module(hint: str) -> Any:
    """torch; raises DeviceError with the reason, and this hint, where there is none to use."""
    try:
        torch = import_module("torch")
    except ModuleNotFoundError:
        raise DeviceError("torch is not installed", hint) from None
    except (ImportError, OSError) as error:  # a library that it links to is missing
        said = str(error).partition("\n")[0][:300]
        raise DeviceError(f"torch does not load: {said}", hint) from error
    if not hasattr(torch, "Tensor"):  # a folder of that name, in the working directory
        raise DeviceError("what is found as torch is another module", hint)
    return torch


def cards_of_torch(torch: Any, with_free: bool = False) -> list[Seen]:
    """The CUDA or ROCm cards that torch sees, in its order.

    What is free is asked only where it is wanted, for that sets each card up.
    """
    cuda = torch.cuda
    found = []
    for place in range(cuda.device_count() if cuda.is_available() else 0):
        seen = cuda.get_device_properties(place)
        total = int(seen.total_memory)
        name = "".join(filter(str.isprintable, str(seen.name)))[:200]
        capability = int(seen.major) * 10 + int(seen.minor) if torch.version.cuda else 0
        card = Card(name, (), round(total / 10**9), None, total, None, None, capability,
                    "torch on this machine")  # fmt: skip
        found.append(Seen(card, int(cuda.mem_get_info(place)[0]) if with_free else None))
    return found


def has_driver() -> bool:
    """Whether NVIDIA's driver answers."""
    return bool(_nvidia())


def closed_devices() -> list[str]:
    """Devices of NVIDIA and AMD that are there and may not be opened by this user."""
    import glob

    found = sorted([*glob.glob("/dev/nvidia[0-9]*"), "/dev/nvidiactl", "/dev/kfd"])
    return [
        path for path in found if os.path.exists(path) and not os.access(path, os.R_OK | os.W_OK)
    ]
