"""H007-H009: whether the tensors of a file cover its data once, each as long as its shape says."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.places import of_kinds, told
from ckptscan.checks.values import Check, Finding, Subject


def overlapping_tensors(subject: Subject) -> Iterator[Finding]:
    """A tensor begins inside another one.

    What it finds: tensors of one file that share bytes, partly or as a whole; the byte is where
    the later one begins.
    Why it matters: the reference library refuses the file, and writing one tensor of a memory map
    changes the other.
    Example: 'b' begins at byte 0, inside the tensors before it.
    What to do: write the file anew, with a copy of each tensor.
    """
    hint = "write the file anew, with a copy of each tensor"
    yield from told(OVERLAP, of_kinds(subject.checkpoint, ("offset-overlap",)), hint)


def offset_gap(subject: Subject) -> Iterator[Finding]:
    """Bytes between two tensors belong to none.

    What it finds: a hole in the data of a file; the byte is where it begins.
    Why it matters: the reference library refuses the file ("cannot contain holes"), and a hole is
    room for what nobody looks at.
    Example: 64 bytes before 'b' belong to no tensor.
    What to do: write the file anew with the safetensors library.
    """
    hint = "write the file anew with the safetensors library"
    yield from told(GAP, of_kinds(subject.checkpoint, ("offset-gap",)), hint)


def size_mismatch(subject: Subject) -> Iterator[Finding]:
    """The bytes of a tensor are not what its shape and dtype take.

    What it finds: offsets that span more or fewer bytes than the elements need; also sub-byte
    elements that do not fill whole bytes.
    Why it matters: a reader that trusts the shape reads out of bounds (mlx#3363).
    Example: 'w': F32 [4, 4] takes 64 bytes, its offsets span 60.
    What to do: write the file anew; find out which tool edited the header.
    """
    kinds = ("size-mismatch", "sub-byte-remainder")
    yield from told(SIZE, of_kinds(subject.checkpoint, kinds), "write the file anew")


OVERLAP = Check("H007", "overlapping-tensors", "error", overlapping_tensors)
GAP = Check("H008", "offset-gap", "error", offset_gap)
SIZE = Check("H009", "size-mismatch", "error", size_mismatch)

CHECKS: tuple[Check, ...] = (OVERLAP, GAP, SIZE)
