"""The values that reading a header gives: Header, its kinds of tensor, its faults."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ckptscan.dtypes import DType

# what the reference tolerates and an auditor must know; the rest that it tolerates is a note
SUSPICIOUS = frozenset(
    "duplicate-name duplicate-metadata-key hostile-name hostile-metadata leading-whitespace "
    "odd-padding odd-entry-form unknown-field metadata-null".split()
)


def quoted(value: str | int) -> str:
    """A value from a file as it may stand in a message: quoted, escaped, at most 80 characters."""
    if isinstance(value, str) and len(value) > 80:
        return f"{value[:60]!r}... ({len(value):,} characters)"
    return repr(value)


class Fault(NamedTuple):
    """Something wrong or odd in one file, in one line.

    `kind` is stable and kebab-case. `error` is the reference library's own variant name
    (safetensors tensor.rs, enum SafeTensorError) where it refuses the file for this, None where
    it tolerates it. `severity` is error, warning or note. `tensor` is the first tensor concerned
    and `times` how many faults this line stands for. `byte` is where it lies, from the start of the
    file, None where that is not known.
    """

    kind: str
    message: str
    error: str | None = None
    tensor: str | None = None
    times: int = 1
    severity: str = "note"
    byte: int | None = None


def fault(
    kind: str,
    message: str,
    error: str | None = None,
    tensor: str | None = None,
    times: int = 1,
    byte: int | None = None,
) -> Fault:
    """A fault of a header, with the severity that its kind has."""
    severity = "error" if error else "warning" if kind in SUSPICIOUS else "note"
    return Fault(kind, message, error, tensor, times, severity, byte)


class FaultList:
    """Faults as they are found; of each kind the first ten in full, the rest as a count."""

    SHOWN = 10

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._counts: dict[tuple[str, str | None], int] = {}

    def add(
        self,
        kind: str,
        message: str,
        error: str | None = None,
        tensor: str | None = None,
        byte: int | None = None,
    ) -> None:
        """Keep this fault, or count it where ten of its kind are kept already."""
        count = self._counts[kind, error] = self._counts.get((kind, error), 0) + 1
        if count <= self.SHOWN:
            self._faults.append(fault(kind, message, error, tensor, byte=byte))

    @property
    def has_errors(self) -> bool:
        """Whether the reference refuses the file for any of these."""
        return any(error is not None for _, error in self._counts)

    def listed(self) -> tuple[Fault, ...]:
        """The faults in the order found, then a line for each kind that had more than ten."""
        more = [
            fault(kind, f"{count - self.SHOWN:,} more like it", error, None, count - self.SHOWN)
            for (kind, error), count in self._counts.items()
            if count > self.SHOWN
        ]
        return (*self._faults, *more)


class Kind(NamedTuple):
    """What many tensors share: dtype, shape, elements, and bytes stored for each.

    `numel` is 0 where the product of the shape overflows 64 bits (then a fault says so).
    """

    dtype: DType
    shape: tuple[int, ...]
    numel: int
    nbytes: int


@dataclass(frozen=True)
class Header:
    """One file's header as facts; judges nothing.

    `size` is N, the header's length in bytes without the 8 bytes that state it. Rows are the
    tensors in the order of the header, in columns: name, code (an index into `kinds`), start and
    end (bytes from the start of the data). `data_size` is the bytes of all tensors together.
    `is_complete` is False where rows may be missing.
    """

    size: int
    metadata: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[str] = ()
    codes: array[int] = field(default_factory=lambda: array("I"))
    kinds: tuple[Kind, ...] = ()
    starts: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    data_size: int = 0
    faults: tuple[Fault, ...] = ()
    is_complete: bool = True

    @property
    def is_valid(self) -> bool:
        """Whether the reference library opens the file."""
        return all(fault.error is None for fault in self.faults)


class Entry(NamedTuple):
    """One well-formed entry as the exact reader found it; `dtype` may be an unknown name."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int
