"""What a device's memory should grow by: the allocator on paper, set up as torch's is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ckptscan.hardware import Allocator
from ckptscan.hardware.allocator import rounded

MIB = 1 << 20
# in the order in which torch reads them
VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
# settings that do not change what a request is rounded to
_HARMLESS = frozenset(("garbage_collection_threshold", "pinned_use_cuda_host_register"))


class Paper(Protocol):
    """An allocator that hands out nothing, and knows what it would have handed out."""

    def take(self, nbytes: int) -> int:
        """Bytes by which the memory in use grows for a request of so many."""

    def clear(self) -> None:
        """All that was taken is given back, to the device too."""


class Caching:
    """torch's caching allocator; `max_split` bytes are its max_split_size_mb."""

    def __init__(self, max_split: int | None = None) -> None:
        self._max_split = max_split
        self.clear()

    def take(self, nbytes: int) -> int:
        """See `hardware.Allocator`; a request of nothing takes nothing."""
        before = self._allocator.allocated
        if nbytes:
            self._allocator.allocate(nbytes)
        return self._allocator.allocated - before

    def clear(self) -> None:
        """All segments go back to the device."""
        self._allocator = Allocator(self._max_split)


class Expandable:
    """The same with expandable_segments, which leave of no block more than its rounding."""

    def take(self, nbytes: int) -> int:
        """The request, rounded."""
        return rounded(nbytes) if nbytes else 0

    def clear(self) -> None:
        """Nothing is held."""


class Exact:
    """Memory in which a request takes what it says: the host's."""

    def take(self, nbytes: int) -> int:
        """The request."""
        return nbytes

    def clear(self) -> None:
        """Nothing is held."""


def allocator_of(kind: str, environment: Mapping[str, str]) -> Paper | None:
    """The allocator of a kind of device under such settings; None where it is not simulated."""
    if kind == "cpu":
        return Exact()
    if kind != "cuda" or environment.get("PYTORCH_NO_CUDA_MEMORY_CACHING"):
        return None
    settings = _settings(next((environment[one] for one in VARIABLES if environment.get(one)), ""))
    if settings.pop("backend", "native") != "native":
        return None
    is_expandable = settings.pop("expandable_segments", "False") == "True"
    split = settings.pop("max_split_size_mb", "")
    if set(settings) - _HARMLESS or (split and not split.isdecimal()):
        return None
    if is_expandable:
        return Expandable()
    return Caching(int(split) * MIB if split else None)


def _settings(text: str) -> dict[str, str]:
    """`max_split_size_mb:64,backend:native` -> names and values."""
    pairs = (part.partition(":") for part in text.split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}
