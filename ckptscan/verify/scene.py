"""What every device is given to work with: the tensors, a reader, what is wished for."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ckptscan.content.reading import Progress
from ckptscan.content.tables import TABLES
from ckptscan.errors import DeviceError
from ckptscan.structure import Structure
from ckptscan.table import Tensor
from ckptscan.verify.judging import Seen, faults_in
from ckptscan.verify.reading import Reader
from ckptscan.verify.rows import has_norms
from ckptscan.verify.taking import Taken
from ckptscan.verify.values import Pick, Probe


@dataclass(frozen=True)
class Scene:
    """One verification while it runs; `room` bytes are the most that the device may hold at once.

    `roles` are those of rows that have one. With `digests` the sha256 of what is loaded is taken.
    """

    structure: Structure
    reader: Reader
    progress: Progress
    digests: bool = False
    room: int | None = None
    roles: Mapping[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tensor(self, pick: Pick) -> Tensor:
        """The tensor that is loaded, in whole or in part."""
        return self.structure.checkpoint.table[pick.row]

    def has_norms(self, pick: Pick) -> bool:
        """Whether rows are vectors of tokens, whose lengths are told."""
        is_table = self.roles.get(pick.row) in TABLES
        return is_table and has_norms(self.tensor(pick).dtype, pick.shape)

    def advance(self, nbytes: int) -> None:
        """So many more bytes have been read, by any thread."""
        with self._lock:
            self.progress.advance(nbytes)

    def check_room(self, picks: Iterable[Pick]) -> None:
        """Raise DeviceError where these are more than the device may hold at once."""
        held = 0
        for pick in picks if self.room is not None else ():
            if self.room is not None and held + pick.nbytes > self.room:
                raise out_of_memory(self.tensor(pick).name, pick.nbytes, self.room - held)
            held += pick.nbytes

    def probe(self, pick: Pick, taken: Taken, load: Load) -> Probe:
        """What was found of a pick, with what contradicts its role and dtype."""
        tensor = self.tensor(pick)
        name = tensor.dtype.name
        role = self.roles.get(pick.row, "")
        seen = Seen(role, name, len(pick.shape), taken.figures, taken.head)
        faults = dict.fromkeys((*taken.faults, *load.faults, *faults_in(seen)))
        return Probe(
            pick,
            tensor.name,
            name,
            load.grown,
            load.predicted,
            taken.figures,
            load.seconds,
            taken.norms,
            taken.sha256,
            tuple(faults),
        )


@dataclass(frozen=True)
class Load:
    """How a pick came onto the device: by how much its memory grew, and should have, in bytes."""

    grown: int
    predicted: int
    seconds: float
    faults: tuple[str, ...] = ()


def out_of_memory(name: str, nbytes: int, free: int) -> DeviceError:
    """The error for a device that has no room for some tensor."""
    return DeviceError(
        f"out of memory: {name} takes {nbytes:,} bytes, {free:,} are free",
        "free the device, or load less: --max-bytes SIZE cuts large tensors to their first rows",
    )
