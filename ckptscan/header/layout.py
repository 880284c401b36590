"""Where tensors lie: whether the entries of a header cover its data as the reference demands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ckptscan.dtypes import DTYPES
from ckptscan.header.json import MAX_INT
from ckptscan.header.values import Entry, FaultList, quoted


def numel(shape: Iterable[int]) -> int | None:
    """Elements of a shape; None where a product from left to right overflows 64 bits.

    So `[2**63, 2, 0]` overflows and `[0, 2**63, 2**63]` is 0 (tensor.rs, try_fold checked_mul).
    """
    count = 1
    for dim in shape:
        count *= dim
        if count > MAX_INT:
            return None
    return count


def check_layout(
    entries: Sequence[Entry], is_complete: bool, header_size: int, faults: FaultList
) -> int:
    """Walk the tensors in offset order as tensor.rs `validate` does, but past the first fault.

    A tensor must begin where the one before it ended ("Byte-buffer needs to be entirely indexed,
    and cannot contain holes"), and be as long as its shape and dtype say. Where entries are
    missing, holes prove nothing and are not reported. Returns where the last tensor ends.
    """
    reached, data = 0, 8 + header_size
    for entry in sorted(entries, key=lambda entry: (entry.start, entry.end)):
        if is_complete:
            _check_place(entry, reached, data, faults)
        if entry.dtype in DTYPES:
            _check_size(entry, data, faults)
        reached = max(reached, entry.end)
    return reached


def _check_place(entry: Entry, reached: int, data: int, faults: FaultList) -> None:
    start, end = entry.start, entry.end
    if start == reached <= end:
        return
    name = quoted(entry.name)
    if end < start:
        message = f"{name} ends at byte {end:,}, before it begins at {start:,}"
        faults.add("offsets-reversed", message, "InvalidOffset", entry.name, data + end)
    elif start > reached:
        message = f"{start - reached:,} bytes before {name} belong to no tensor"
        faults.add("offset-gap", message, "InvalidOffset", entry.name, data + reached)
    else:
        message = f"{name} begins at byte {start:,}, inside the tensors before it"
        faults.add("offset-overlap", message, "InvalidOffset", entry.name, data + start)


def _check_size(entry: Entry, data: int, faults: FaultList) -> None:
    bits, count = DTYPES[entry.dtype].bits or 0, numel(entry.shape)
    if count is not None and (entry.end - entry.start) * 8 == count * bits <= MAX_INT:
        return
    name = quoted(entry.name)
    if count is None or count * bits > MAX_INT:
        message = f"{name}: shape {_shown(entry.shape)} overflows 64 bits"
        faults.add("shape-overflow", message, "ValidationOverflow", entry.name)
    elif count * bits % 8:
        message = f"{name}: {count:,} elements of {bits} bits do not fill whole bytes"
        faults.add("sub-byte-remainder", message, "MisalignedSlice", entry.name)
    elif entry.start <= entry.end != entry.start + count * bits // 8:
        message = (
            f"{name}: {entry.dtype} {_shown(entry.shape)} takes {count * bits // 8:,} bytes, "
            f"its offsets span {entry.end - entry.start:,}"
        )
        faults.add("size-mismatch", message, "TensorInvalidInfo", entry.name, data + entry.start)


def _shown(shape: tuple[int, ...]) -> str:
    if len(shape) <= 8:
        return str(list(shape))
    return f"[{', '.join(map(str, shape[:6]))}, ... {len(shape):,} dimensions]"


def check_end(end: int, header_size: int, file_size: int, faults: FaultList) -> None:
    """Whether the data ends where the file does; `end` is the last tensor's end.

    "the last offset must be the end of the file": trailing and missing bytes are both refused.
    """
    missing = 8 + header_size + end - file_size
    if missing > 0:
        message = (
            f"{missing:,} bytes are missing: the tensors end at byte "
            f"{8 + header_size + end:,}, the file at {file_size:,}"
        )
        faults.add("truncated", message, "MetadataIncompleteBuffer", byte=file_size)
    elif missing < 0:
        message = f"{-missing:,} bytes follow the last tensor"
        faults.add(
            "trailing-bytes", message, "MetadataIncompleteBuffer", byte=8 + header_size + end
        )
