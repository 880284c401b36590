"""The memory of one device of torch: what is held and free of it, and the way to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ckptscan.errors import DeviceError
from ckptscan.verify.reading import Meter

if TYPE_CHECKING:
    import torch

_LINK = 32 << 20  # bytes that are copied to measure the way to the device
_LINK_TIMES = 8
_SAID = 300  # characters of what torch says that are told


class Memory:
    """What torch tells of a device's memory; the host's is not counted."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self.device = device
        modules: dict[str, Any] = {"cuda": torch.cuda, "mps": torch.mps}
        self._module = modules.get(device.type)

    def allocated(self) -> int | None:
        """Bytes that tensors hold; None where nothing counts them."""
        if self.device.type == "cuda":
            return int(self._module.memory_allocated(self.device))  # type: ignore[union-attr]
        return int(self._module.current_allocated_memory()) if self._module is not None else None

    def free(self) -> int | None:
        """Bytes that are free on the device; None where nobody tells."""
        if self.device.type == "cuda":
            free, _ = self._module.mem_get_info(self.device)  # type: ignore[union-attr]
            return int(free)
        if self.device.type == "mps":
            most = int(self._module.recommended_max_memory())  # type: ignore[union-attr]
            return most - int(self._module.driver_allocated_memory())  # type: ignore[union-attr]
        return None

    def wait(self) -> None:
        """Until the device has done what it was told."""
        if self._module is not None:
            self._module.synchronize()

    def empty(self) -> None:
        """Give memory that nothing lies in back to the device."""
        if self._module is not None:
            self._module.empty_cache()

    def pinned(self, nbytes: int) -> torch.Tensor:
        """Memory of the host, from which CUDA copies at once."""
        import torch

        return torch.empty(nbytes, dtype=torch.uint8, pin_memory=self.device.type == "cuda")

    def link(self) -> float | None:
        """Bytes a second from pinned memory of the host to the device; None for the host."""
        import torch

        if self._module is None:
            return None
        meter = Meter()
        with told_as_errors(self):
            here = self.pinned(_LINK)
            there = torch.empty(_LINK, dtype=torch.uint8, device=self.device)
            there.copy_(here)  # the first one pays for what is set up once
            for _ in range(_LINK_TIMES):
                self.wait()
                begun = time.perf_counter()
                there.copy_(here)
                self.wait()
                meter = meter.plus(_LINK, time.perf_counter() - begun)
        return meter.rate


@contextmanager
def told_as_errors(memory: Memory) -> Iterator[None]:
    """What torch raises of a device that fails, as a DeviceError."""
    try:
        yield
    except RuntimeError as error:
        said = "".join(filter(str.isprintable, str(error).partition("\n")[0]))[:_SAID]
        if "out of memory" in str(error):
            free = memory.free()
            told = "" if free is None else f"; {free:,} bytes are free"
            raise DeviceError(
                f"out of memory on {memory.device}{told}: {said}",
                "free the device, or load less with --max-bytes SIZE",
            ) from error
        raise DeviceError(f"{memory.device} fails: {said}", "try --device cpu") from error
