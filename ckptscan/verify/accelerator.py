"""Tensors on a device of torch: loaded, brought back, compared, measured, let go."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.verify.allocating import Exact, Paper, allocator_of
from ckptscan.verify.device_figures import figures_on_device
from ckptscan.verify.memory import Memory, told_as_errors
from ckptscan.verify.reading import Batch, InOrder, shares_of, stretches_of
from ckptscan.verify.rows import row_norms
from ckptscan.verify.scene import Load, Scene, out_of_memory
from ckptscan.verify.slabs import Order, Piece, Slabs
from ckptscan.verify.taking import Taking, Twice
from ckptscan.verify.torch_files import TorchFiles
from ckptscan.verify.torch_types import Kind, kind_in_torch, torch_dtype, unlike
from ckptscan.verify.values import Pick, Probe

if TYPE_CHECKING:
    import torch

AHEAD = 4  # pieces that are read while the device is at work


class _Held(NamedTuple):
    """A pick on the device: its tensor, how it came there, what is found while it is read again."""

    pick: Pick
    tensor: torch.Tensor
    load: Load
    taking: Taking

    @property
    def raw(self) -> torch.Tensor:
        """Its bytes, on the device."""
        import torch

        return self.tensor.reshape(-1).view(torch.uint8)


class Accelerator:
    """Verifies on one device of torch, a batch at a time."""

    def __init__(self, scene: Scene, memory: Memory, files: TorchFiles) -> None:
        self._scene = scene
        self._memory = memory
        self._files = files
        self._paper: Paper | None = allocator_of(memory.device.type, os.environ)

    @property
    def is_predicted(self) -> bool:
        """Whether the device's allocator is simulated, so that bytes can be held against it."""
        return self._paper is not None

    def probes(self, batches: Iterable[Batch]) -> Iterator[Probe]:
        """What is found of each pick, in order. Raises SourceError and DeviceError."""
        every, reader = list(batches), self._scene.reader
        with told_as_errors(self._memory):
            slabs = Slabs(AHEAD + 1, self._scene, self._memory)
            crew = InOrder(slabs.filled, min(reader.threads, AHEAD), AHEAD, reader.rest)
            pieces = crew.run(self._orders(every))
            for batch in every:
                reader.renew()
                self._scene.check_room(batch.picks)
                yield from self._examine(batch, pieces, slabs)

    def _orders(self, batches: Iterable[Batch]) -> Iterator[Order]:
        """What is read of each batch: to load it, unless its file does that, and to compare it."""
        for batch in batches:
            for is_again in (True,) if self._is_loaded_by_file(batch) else (False, True):
                for one in stretches_of(batch, self._scene.reader.most):
                    yield Order(one, is_again)

    def _is_loaded_by_file(self, batch: Batch) -> bool:
        """Whether the reference library loads all picks of a batch."""
        return batch.path in self._files and all(
            pick.is_whole and self._is_whole_bytes(pick) for pick in batch.picks
        )

    def _is_whole_bytes(self, pick: Pick) -> bool:
        """Whether torch has the dtype; read by pread, those below a byte come in a false shape."""
        dtype = self._scene.tensor(pick).dtype
        is_known = torch_dtype(dtype.name, self._memory.device.type) is not None
        return is_known and (dtype.bits or 0) >= 8

    def _examine(self, batch: Batch, pieces: Iterator[Piece], slabs: Slabs) -> list[Probe]:
        """Load the picks of a batch, hold them against what is read again, and let them go."""
        self._memory.empty()
        if self._paper is not None:
            self._paper.clear()
        if self._is_loaded_by_file(batch):
            held = [self._loaded(pick, batch.path) for pick in batch.picks]
        else:
            held = [self._made(pick) for pick in batch.picks]
            held = self._filled(batch, held, pieces, slabs)
        for piece in self._next(batch, pieces):
            for one, share in zip(held, shares_of(batch, piece.stretch), strict=True):
                back = one.raw[share.start : share.start + share.nbytes].cpu().numpy()
                again = piece.raw[share.here]
                one.taking.note(Twice(back, again, share.nbytes))
            slabs.free(piece)
        return [self._probe(one) for one in held]

    def _next(self, batch: Batch, pieces: Iterator[Piece]) -> Iterator[Piece]:
        """The next pieces, as many as the batch has."""
        return (next(pieces) for _ in stretches_of(batch, self._scene.reader.most))

    def _loaded(self, pick: Pick, path: str) -> _Held:
        """A pick that its file loads, or room for it where that fails."""
        name = self._scene.tensor(pick).name
        before, begun = self._memory.allocated(), time.perf_counter()
        found = self._files.load(path, name)
        self._memory.wait()
        seconds = time.perf_counter() - begun
        self._scene.reader.count(pick.nbytes, seconds)
        self._scene.advance(pick.nbytes)
        if isinstance(found, str):
            held = self._made(pick)
            return held._replace(load=Load(held.load.grown, held.load.predicted, seconds, (found,)))
        return self._noted(pick, found, before, seconds)

    def _made(self, pick: Pick) -> _Held:
        """Room for a pick; bytes that nothing is read into are zero."""
        import torch

        tensor = self._scene.tensor(pick)
        kind = self._kind(pick)
        before, begun = self._memory.allocated(), time.perf_counter()
        try:
            made = torch.empty(pick.nbytes, dtype=torch.uint8, device=self._memory.device)
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise out_of_memory(tensor.name, pick.nbytes, self._memory.free() or 0) from error
        made.zero_()
        typed = made.view(kind.dtype).reshape(kind.shape) if kind else made
        return self._noted(pick, typed, before, time.perf_counter() - begun)

    def _kind(self, pick: Pick) -> Kind | None:
        """What a pick is in torch; None where it is held as bytes."""
        return kind_in_torch(self._scene.tensor(pick).dtype, pick.shape, self._memory.device.type)

    def _noted(self, pick: Pick, tensor: torch.Tensor, before: int | None, seconds: float) -> _Held:
        """A pick on the device, with what is not as promised of the tensor and of its memory."""
        kind = self._kind(pick)
        faults = list(unlike(tensor, kind, self._memory.device)) if kind else []
        now = self._memory.allocated()
        grown = tensor.untyped_storage().nbytes()
        if before is not None and now is not None:
            grown = now - before
        predicted = (self._paper or Exact()).take(pick.nbytes)
        if self.is_predicted and grown != predicted:
            faults.append(f"memory grew by {grown:,} bytes, {predicted:,} were predicted")
        load = Load(grown, predicted, seconds, tuple(faults))
        return _Held(pick, tensor, load, Taking(self._scene.digests))

    def _filled(
        self, batch: Batch, held: list[_Held], pieces: Iterator[Piece], slabs: Slabs
    ) -> list[_Held]:
        """The picks of a batch with their bytes copied into them."""
        seconds = [one.load.seconds for one in held]
        for piece in self._next(batch, pieces):
            for place, share in enumerate(shares_of(batch, piece.stretch)):
                here = piece.on_host(share.here)
                begun = time.perf_counter()
                held[place].raw[share.start : share.start + len(here)].copy_(here)
                self._memory.wait()
                seconds[place] += time.perf_counter() - begun
            slabs.free(piece)
        return [
            one._replace(load=Load(one.load.grown, one.load.predicted, spent, one.load.faults))
            for one, spent in zip(held, seconds, strict=True)
        ]

    def _probe(self, one: _Held) -> Probe:
        dtype = self._scene.tensor(one.pick).dtype
        figures = figures_on_device(dtype.name, one.tensor)
        norms = None
        if self._scene.has_norms(one.pick):
            most = self._scene.reader.most
            parts = (one.raw[at : at + most].cpu().numpy() for at in range(0, len(one.raw), most))
            norms = row_norms(dtype, one.pick.shape[1], parts)
        return self._scene.probe(one.pick, one.taking.taken(figures, norms), one.load)
