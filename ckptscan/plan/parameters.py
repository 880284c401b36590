"""What an engine asks the allocator for: tensors that it joins, as its kernels pad them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.plan.nvfp4 import Kernels, Matrix


class Parameter(NamedTuple):
    """What is allocated as one: bytes, and the part of the model that it belongs to.

    `padding` of its bytes are the kernel's; other kernels take up to `most`.
    """

    name: str
    nbytes: int
    group: str
    padding: int = 0
    most: int = 0


class Held(NamedTuple):
    """A tensor of one module on a rank: its bytes, those of padding, the most that may be.

    `matrix` is what a kernel pads once parts are joined.
    """

    name: str
    nbytes: int
    padding: int = 0
    most: int = 0
    matrix: Matrix | None = None


@dataclass
class Joined:
    """The tensors that become one parameter, so far."""

    group: str
    nbytes: int = 0
    padding: int = 0
    most: int = 0
    matrix: Matrix | None = None

    def add(self, held: Held, times: int) -> None:
        """Put a tensor of which there are so many beside the others."""
        self.nbytes += held.nbytes * times
        self.padding += held.padding * times
        self.most += held.most * times
        if held.matrix is not None:
            copies, rows = held.matrix.copies * times, held.matrix.rows
            rows += self.matrix.rows if self.matrix is not None else 0
            self.matrix = held.matrix._replace(copies=copies, rows=rows)

    def parameter(self, name: str, kernels: Kernels) -> Parameter:
        """All of it as one."""
        if self.matrix is None:
            return Parameter(name, self.nbytes, self.group, self.padding, self.most)
        padding, most = self.matrix.padding(kernels)
        return Parameter(name, self.nbytes + padding, self.group, padding, most)
