"""One operation for each kind of tensor that was loaded, on a few rows of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ckptscan.header import LENGTH
from ckptscan.verify.choosing import stretch
from ckptscan.verify.kernels import Trial, attempt, operation_of
from ckptscan.verify.reading import Stretch
from ckptscan.verify.scene import Scene
from ckptscan.verify.torch_types import shape_in_torch, torch_dtype
from ckptscan.verify.values import Pick, Probe

if TYPE_CHECKING:
    import torch

_MOST = 4 << 20  # bytes of one tensor


def trials_of(
    scene: Scene, probes: Iterable[Probe], device: torch.device, capability: int
) -> Iterator[Trial]:
    """An operation in each stored dtype, as tables and as matrices. Raises SourceError."""
    tried: set[tuple[str, str]] = set()
    for probe in probes:
        operation = operation_of(scene.roles.get(probe.pick.row, ""), len(probe.pick.shape))
        if not operation or probe.faults or (probe.dtype, operation) in tried:
            continue
        tried.add((probe.dtype, operation))
        tensor = _on_device(scene, probe.pick, device)
        if tensor is None:
            skipped = f"torch has no {probe.dtype} on {device.type}"
            yield Trial(probe.name, probe.dtype, operation, skipped=skipped)
        else:
            yield attempt(probe.name, probe.dtype, operation, tensor, capability)


def _on_device(scene: Scene, pick: Pick, device: torch.device) -> torch.Tensor | None:
    """A few rows of what was loaded; None where torch has no such dtype, or the file has shrunk."""
    import torch

    tensor = scene.tensor(pick)
    dtype = torch_dtype(tensor.dtype.name, device.type)
    matrix_bytes = tensor.nbytes // tensor.shape[0]
    count = max(1, min(pick.shape[0], _MOST // matrix_bytes))
    part = stretch(pick.row, tensor, pick.first, count)
    if dtype is None or part is None:
        return None
    raw = torch.empty(part.nbytes, dtype=torch.uint8)
    buffer, reader = raw.numpy(), scene.reader
    shard = scene.structure.checkpoint.table.shards[tensor.shard]
    begin = LENGTH + shard.header_size + tensor.start + part.start
    for at in range(0, part.nbytes, reader.most):
        one = Stretch(shard.path, begin + at, min(reader.most, part.nbytes - at))
        if len(reader.again(one, buffer[at:])) < one.nbytes:
            return None
    return raw.view(dtype).reshape(shape_in_torch(tensor.dtype, part.shape)).to(device)
