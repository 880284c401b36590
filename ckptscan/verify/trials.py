"""One operation for each kind of tensor that was loaded, on a few rows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ckptscan.header import LENGTH
from ckptscan.verify.choosing import stretch
from ckptscan.verify.kernels import Trial, attempt, operation_of
from ckptscan.verify.reading import Stretch
from ckptscan.verify.scene import Scene
from ckptscan.verify.taking import SHRUNK
from ckptscan.verify.torch_types import kind_in_torch
from ckptscan.verify.values import Pick, Probe

if TYPE_CHECKING:
    import torch

_MOST = 4 << 20  # bytes of one tensor
_TRIES = 4  # tensors of one kind


def trials_of(
    scene: Scene, probes: Iterable[Probe], device: torch.device, capability: int
) -> Iterator[Trial]:
    """An operation in each stored dtype, as tables and as matrices. Raises SourceError.

    Where it is not for the first tensor, as one that is too small, others of its kind are tried.
    """
    tries = Counter[tuple[str, str]]()
    skipped: dict[tuple[str, str], Trial] = {}
    for probe in probes:
        operation = operation_of(scene.roles.get(probe.pick.row, ""), len(probe.pick.shape))
        kind = probe.dtype, operation
        if not operation or probe.faults or tries[kind] == _TRIES:
            continue
        tries[kind] += 1
        try:
            tensor = _on_device(scene, probe.pick, device)
            trial = attempt(probe.name, *kind, tensor, capability)
        except _Unheld as unheld:
            trial = Trial(probe.name, *kind, skipped=str(unheld))
        if trial.skipped:
            skipped[kind] = trial
            continue
        tries[kind] = _TRIES
        skipped.pop(kind, None)
        yield trial
    yield from skipped.values()


class _Unheld(Exception):
    """Rows that do not come onto the device as a tensor, and why."""


def _on_device(scene: Scene, pick: Pick, device: torch.device) -> torch.Tensor:
    """A few rows of what was loaded. Raises _Unheld and SourceError."""
    import torch

    tensor = scene.tensor(pick)
    count = max(1, min(pick.shape[0], _MOST * tensor.shape[0] // tensor.nbytes))
    part = stretch(pick.row, tensor, pick.first, count)
    kind = kind_in_torch(tensor.dtype, part.shape, device.type) if part is not None else None
    if part is None or kind is None:
        raise _Unheld(f"torch has no {tensor.dtype.name} on {device.type}, or not in such rows")
    raw = torch.empty(part.nbytes, dtype=torch.uint8)
    buffer, reader = raw.numpy(), scene.reader
    shard = scene.structure.checkpoint.table.shards[tensor.shard]
    begin = LENGTH + shard.header_size + tensor.start + part.start
    for at in range(0, part.nbytes, reader.most):
        one = Stretch(shard.path, begin + at, min(reader.most, part.nbytes - at))
        if len(reader.again(one, buffer[at:])) < one.nbytes:
            raise _Unheld(SHRUNK)
    return raw.view(kind.dtype).reshape(kind.shape).to(device)
