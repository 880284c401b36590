"""Tensors on the host alone, without torch: read twice in pieces, compared, measured, let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ckptscan.content.measuring import Room
from ckptscan.errors import Interrupted
from ckptscan.verify.figures import Figures, element_bytes, figures_of_chunk, joined
from ckptscan.verify.reading import Batch, InOrder, shares_of, stretches_of
from ckptscan.verify.rows import row_norms
from ckptscan.verify.scene import Load, Scene
from ckptscan.verify.taking import Taking, Twice
from ckptscan.verify.values import Pick, Probe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

AHEAD = 4  # batches a thread, whose findings wait for those before them


class _Buffers:
    """Memory of one thread."""

    def __init__(self, most: int) -> None:
        import numpy as np

        self.first = np.empty(most, "u1")
        self.second = np.empty(most, "u1")
        self.room = Room()


class Host:
    """Verifies on the host, in memory that the size of tensors does not change."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._own = threading.local()
        self._is_over = threading.Event()

    def probes(self, batches: Iterable[Batch]) -> Iterator[Probe]:
        """What is found of each pick, in order. Raises SourceError and DeviceError."""
        reader = self._scene.reader
        crew = InOrder(self._examine, reader.threads, AHEAD * reader.threads, reader.rest)
        self._is_over = crew.is_over
        for found in crew.run(batches):
            reader.renew()
            yield from found

    def _examine(self, batch: Batch) -> list[Probe]:
        """What the picks of a batch hold."""
        if not hasattr(self._own, "buffers"):
            self._own.buffers = _Buffers(self._scene.reader.most)
        self._scene.check_room(batch.picks)
        if len(batch.picks) == 1:
            return [self._probe(batch.picks[0], (parts[0] for parts in self._pieces(batch)))]
        (parts,) = self._pieces(batch)
        return [
            self._probe(pick, iter((part,))) for pick, part in zip(batch.picks, parts, strict=True)
        ]

    def _pieces(self, batch: Batch) -> Iterator[list[Twice]]:
        """The pieces of a batch, read two times, by the picks in them. Raises SourceError."""
        reader, own = self._scene.reader, self._own.buffers
        for one in stretches_of(batch, reader.most):
            if self._is_over.is_set():
                raise Interrupted
            raw, again = reader.read(one, own.first), reader.again(one, own.second)
            self._scene.advance(len(raw) + len(again))
            yield [
                Twice(raw[share.here], again[share.here], share.nbytes)
                for share in shares_of(batch, one)
            ]

    def _probe(self, pick: Pick, pieces: Iterator[Twice]) -> Probe:
        """What is found of a pick; memory that numpy would hold is as large as what came in."""
        begun = time.perf_counter()
        taking = Taking(self._scene.digests)
        measuring = _Measuring(self._scene.tensor(pick).dtype.name, self._own.buffers.room)
        chunks = measuring.chunks(taking, pieces)
        norms = None
        if self._scene.has_norms(pick):
            norms = row_norms(self._scene.tensor(pick).dtype, pick.shape[1], chunks)
        for _ in chunks:
            pass
        taken = taking.taken(measuring.figures, norms)
        load = Load(taking.nbytes, pick.nbytes, time.perf_counter() - begun)
        return self._scene.probe(pick, taken, load)


class _Measuring:
    """The figures of one tensor, piece by piece."""

    def __init__(self, dtype: str, room: Room) -> None:
        self._dtype = dtype
        self._room = room
        self._width = element_bytes(dtype)
        self.figures = Figures()

    def chunks(self, taking: Taking, pieces: Iterator[Twice]) -> Iterator[Bytes]:
        """The pieces as whole elements, once they are measured."""
        for piece in pieces:
            taking.note(piece)
            whole = piece.raw[: len(piece.raw) // self._width * self._width]
            if len(whole):
                found = figures_of_chunk(self._dtype, whole, self._room)
                self.figures = joined(self.figures, found)
                yield whole
