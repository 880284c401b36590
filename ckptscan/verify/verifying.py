"""One verification from its wish to what it proves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ckptscan.checkpoint import Checkpoint
from ckptscan.content.keeping import stamps
from ckptscan.content.reading import Nobody, Progress
from ckptscan.errors import CkptscanError, UsageError
from ckptscan.sources import Source
from ckptscan.structure import Structure
from ckptscan.verify.choosing import choose
from ckptscan.verify.devices import CPU, find_device, lack_of_torch
from ckptscan.verify.host import Host
from ckptscan.verify.kernels import Trial
from ckptscan.verify.packed import Judged, judge_packed
from ckptscan.verify.reading import Batch, Reader, batches_of
from ckptscan.verify.scales import zero_scales
from ckptscan.verify.scene import Scene
from ckptscan.verify.values import (
    INTERRUPTED,
    Choice,
    DeviceFacts,
    Probe,
    Throughput,
    Verification,
    Wish,
)

NO_PAPER = "allocator: this device's is not simulated, so what it took is told and not judged"


def verify(
    source: Source,
    structure: Structure,
    wish: Wish | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    digests: bool = False,
    room: int | None = None,
) -> Verification:
    """What loading some tensors onto a device proves of a checkpoint.

    `device` is auto, cpu, cuda, cuda:1 or mps. With `room` it holds no more than so many bytes at
    once. Ctrl-C, a source that fails and a device that is full end it early: what was found until
    then is given, with `stopped` and `error`. Raises DeviceError where there is no such device,
    UsageError for a header pack and for a wish that names nothing.
    """
    origin = structure.checkpoint.origin
    if origin.packed:
        raise UsageError(
            f"{origin.title}: a header pack holds no tensors",
            "verify the checkpoint that it was made from",
        )
    facts = find_device(device)
    choice = choose(structure, wish or Wish())
    roles = {row: structure.role(one) for one in structure.families for row in one.rows}
    reader = Reader(source)
    scene = Scene(structure, reader, progress or Nobody(), digests, room, roles)
    run = _Run(source, scene, facts, choice)
    try:
        return run.verification()
    finally:
        scene.progress.end()


def _refused(checkpoint: Checkpoint) -> Iterator[str]:
    """Files that are promised and absent, and those that the reference library would not open."""
    for path, fault in checkpoint.faults:
        if fault.severity == "error":
            variant = f"{fault.error}: " if fault.error else ""
            yield f"{path}: {variant}{fault.message}"


class _Run:
    """The loading of a choice onto a device."""

    def __init__(self, source: Source, scene: Scene, facts: DeviceFacts, choice: Choice) -> None:
        self._source = source
        self._scene = scene
        self._facts = facts
        self._choice = choice
        self._found: list[Probe] = []
        self._tried: list[Trial] = []
        self._judged = Judged()
        self._faults = list(_refused(scene.structure.checkpoint))
        lack = lack_of_torch()
        self._has_torch = not lack
        self._missing = [f"kernels: {lack}, so no operation was tried"] if lack else []
        self._link: float | None = None

    def verification(self) -> Verification:
        """All that was found, until it ended."""
        stopped, error = "", None
        try:
            self._load()
        except KeyboardInterrupt:
            stopped = INTERRUPTED
        except CkptscanError as raised:
            stopped, error = raised.message, raised
        reader = self._scene.reader
        return Verification(
            self._scene.structure,
            self._facts,
            self._choice,
            tuple(self._found),
            Throughput(reader.meter.rate, self._link, reader.threads),
            tuple(self._tried),
            self._judged.weights,
            (*self._faults, *self._judged.faults),
            (*self._missing, *self._judged.missing),
            stopped,
            error,
        )

    def _load(self) -> None:
        """Load what was chosen and note what is found. Raises SourceError and DeviceError."""
        checkpoint = self._scene.structure.checkpoint
        before = stamps(self._source, checkpoint)
        self._scene.progress.begin(2 * self._choice.nbytes)
        for probe in self._probes():
            self._found.append(probe)  # kept where the rest is interrupted
        self._faults += zero_scales(self._found, self._scene.roles)
        chosen = frozenset(pick.row for pick in self._choice.picks)
        self._judged = judge_packed(self._source, self._scene.structure, chosen)
        self._tried += self._trials(self._found)
        changed = stamps(self._source, checkpoint).items() - before.items()
        said = "it was written while it was read"
        self._faults += [f"{path}: {said}" for path, _ in sorted(changed)]

    def _trials(self, probes: Sequence[Probe]) -> Iterator[Trial]:
        """An operation of each kind, where torch is there to try it."""
        if not self._has_torch:
            return
        import torch

        from ckptscan.verify.memory import Memory, told_as_errors
        from ckptscan.verify.trials import trials_of

        device = torch.device(self._facts.kind)
        with told_as_errors(Memory(device)):
            yield from trials_of(self._scene, probes, device, self._facts.capability)

    def _batches(self) -> Iterator[Batch]:
        table = self._scene.structure.checkpoint.table
        return batches_of(table, self._choice.picks, self._scene.reader.most)

    def _probes(self) -> Iterator[Probe]:
        if self._facts.kind == CPU:
            yield from Host(self._scene).probes(self._batches())
            return
        import torch

        from ckptscan.verify.accelerator import Accelerator
        from ckptscan.verify.memory import Memory
        from ckptscan.verify.torch_files import TorchFiles

        memory = Memory(torch.device(self._facts.kind))
        batches = list(self._batches())
        files = TorchFiles(self._source, (batch.path for batch in batches), memory.device)
        self._faults += [f"{path}: {why}" for path, why in files.problems.items()]
        accelerator = Accelerator(self._scene, memory, files)
        self._missing += [] if accelerator.is_predicted else [NO_PAPER]
        self._link = memory.link()
        yield from accelerator.probes(batches)
