"""Memory of the host that a device copies from, filled by the threads that read."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.verify.memory import Memory
from ckptscan.verify.reading import Stretch
from ckptscan.verify.scene import Scene

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray


class Order(NamedTuple):
    """A stretch that is wanted, and whether it was read before."""

    stretch: Stretch
    is_again: bool


class Piece(NamedTuple):
    """A stretch of a file with its bytes, which lie in a slab; fewer where the file ended."""

    stretch: Stretch
    raw: NDArray[np.uint8]
    slab: torch.Tensor

    def on_host(self, here: slice) -> torch.Tensor:
        """A share of the bytes, as a tensor."""
        return self.slab[: len(self.raw)][here]


class Slabs:
    """So many slabs, pinned where the device copies faster from such; each piece takes one."""

    def __init__(self, count: int, scene: Scene, memory: Memory) -> None:
        self._scene = scene
        self._free = queue.SimpleQueue["torch.Tensor"]()
        for _ in range(count):
            self._free.put(memory.pinned(scene.reader.most))

    def filled(self, order: Order) -> Piece:
        """A stretch, read into a slab. Raises SourceError."""
        slab, reader = self._free.get(), self._scene.reader
        read = reader.again if order.is_again else reader.read
        raw = read(order.stretch, slab.numpy())
        self._scene.advance(len(raw))
        return Piece(order.stretch, raw, slab)

    def free(self, piece: Piece) -> None:
        """Its slab may be used again."""
        self._free.put(piece.slab)
