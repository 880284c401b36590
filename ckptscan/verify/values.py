"""What is to be loaded, what was found of each tensor, and what all of it proves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.names import IndexSet

if TYPE_CHECKING:
    from ckptscan.errors import CkptscanError
    from ckptscan.structure import Structure
    from ckptscan.verify.figures import Figures
    from ckptscan.verify.kernels import Trial
    from ckptscan.verify.rows import RowNorms
    from ckptscan.verify.unpacking import Unpacked

MOST = 2 << 30  # bytes that are read where nobody says how many
RANKS = (1, 2, 4, 8)  # tensor-parallel ones, for which a full load is estimated
INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Wish:
    """Which tensors are loaded; see `choose`.

    `layers` are indices of the outermost containers, `match` a test of names, `sample` how many
    tensors are drawn with `seed`, `everything` all of them. `most` bytes are read: 2 GiB, or with
    `everything` any number, where it is None. `odd` are rows that are loaded in any case.
    """

    layers: IndexSet | None = None
    match: Callable[[str], bool] | None = None
    sample: int | None = None
    seed: int = 0
    most: int | None = None
    everything: bool = False
    odd: tuple[int, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether nothing says which tensors are wanted."""
        named = (self.layers, self.match, self.sample)
        return not self.everything and all(one is None for one in named)

    @property
    def limit(self) -> int | None:
        """Bytes that may be read, None for any number."""
        return MOST if self.most is None and not self.everything else self.most


class Pick(NamedTuple):
    """A tensor that is loaded, or `count` of its rows from `first` on: entries of its first axis.

    `start` and `nbytes` are where they lie in the tensor; `shape` is that of what is loaded.
    """

    row: int
    shape: tuple[int, ...]
    start: int
    nbytes: int
    first: int = 0
    is_whole: bool = True

    @property
    def rows(self) -> str:
        """The rows that are loaded, `0-63`; empty for all."""
        return "" if self.is_whole else f"{self.first}-{self.first + self.shape[0] - 1}"


@dataclass(frozen=True)
class Choice:
    """What is loaded, in the order of the files; tensors that were chosen and are not, and why."""

    picks: tuple[Pick, ...]
    left_out: Mapping[int, str] = field(default_factory=dict)
    faulty: Mapping[int, str] = field(default_factory=dict)

    @property
    def tensors(self) -> int:
        """How many tensors are loaded, in part or as a whole."""
        return len({pick.row for pick in self.picks})

    @property
    def nbytes(self) -> int:
        """Bytes that are loaded."""
        return sum(pick.nbytes for pick in self.picks)


@dataclass(frozen=True)
class Probe:
    """What was found of one pick.

    `device_bytes` is what the device's memory grew by, `predicted` what the simulated allocator
    says, both in bytes. `seconds` are those of reading it, or of loading it onto the device.
    `faults` say what is not as promised.
    """

    pick: Pick
    name: str
    dtype: str
    device_bytes: int
    predicted: int
    figures: Figures
    seconds: float
    norms: RowNorms | None = None
    sha256: str | None = None
    faults: tuple[str, ...] = ()


class Throughput(NamedTuple):
    """Bytes a second from the source to memory of the host, and from there to the device.

    None is what was not measured; `threads` read at once.
    """

    to_host: float | None
    to_device: float | None
    threads: int


class DeviceFacts(NamedTuple):
    """The device as it was found: bytes in all and free before anything was loaded.

    `kind` is that of torch (`cuda`, `mps`, `cpu`); `note` says why it is not the one hoped for.
    `capability` is CUDA's, 89 for 8.9, and 0 for others.
    """

    kind: str
    name: str
    total: int | None = None
    free: int | None = None
    capability: int = 0
    software: str = ""
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """What loading some tensors proves of a checkpoint, and what a full load would take.

    `trials` are operations in stored dtypes, `weights` a few lines of packed ones as numbers.
    `missing` names what could not be tried. `stopped` says why not all was loaded, ""
    where it was; `error` is what stopped it, None for a person.
    """

    structure: Structure
    device: DeviceFacts
    choice: Choice
    probes: tuple[Probe, ...]
    throughput: Throughput
    trials: tuple[Trial, ...] = ()
    weights: tuple[Unpacked, ...] = ()
    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    stopped: str = ""
    error: CkptscanError | None = None

    @property
    def match(self) -> bool:
        """Whether nothing that was loaded contradicts headers and predictions."""
        is_wrong = any(one.faults for one in self.probes) or any(one.problem for one in self.trials)
        return not (self.faults or self.choice.faulty or is_wrong)

    @property
    def predicted_bytes(self) -> int:
        """What the device's memory should have grown by, tensor by tensor."""
        return sum(probe.predicted for probe in self.probes)

    @property
    def allocated_bytes(self) -> int:
        """What it grew by."""
        return sum(probe.device_bytes for probe in self.probes)

    @property
    def nbytes(self) -> int:
        """Bytes that were loaded."""
        return sum(probe.pick.nbytes for probe in self.probes)

    @property
    def tensors(self) -> int:
        """How many tensors were loaded, in part or as a whole."""
        return len({probe.pick.row for probe in self.probes})

    @property
    def loads(self) -> tuple[FullLoad, ...]:
        """How long a full load would take, on one rank and on more."""
        ranks = RANKS if self.throughput.to_device else RANKS[:1]
        return estimated_loads(self.structure.nbytes, self.throughput, ranks)


class FullLoad(NamedTuple):
    """How long loading the whole checkpoint on so many ranks takes, estimated."""

    ranks: int
    seconds: float
    formula: str


def estimated_loads(nbytes: int, rates: Throughput, ranks: Sequence[int]) -> tuple[FullLoad, ...]:
    """Seconds to load so many bytes: read once, then copied to each rank's device in parallel."""
    if not rates.to_host:
        return ()
    read = nbytes / rates.to_host
    found = []
    for count in ranks:
        formula = f"{nbytes:,} B / {rates.to_host:,.0f} B/s"
        copied = 0.0
        if rates.to_device:
            copied = nbytes / count / rates.to_device
            shared = f" / {count}" if count > 1 else ""
            formula += f" + {nbytes:,} B{shared} / {rates.to_device:,.0f} B/s"
        found.append(FullLoad(count, read + copied, formula))
    return tuple(found)
