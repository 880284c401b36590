"""What the reference tolerates in a sound header and an auditor must know."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from ckptscan.header.values import FaultList, Kind, quoted
from ckptscan.names import is_visible

# data that begins here is aligned for every dtype of the format; the reference writer pads to it
ALIGNMENT = 8
LONG_NAME = 1024  # characters; the longest name in 585 model families has 112

# control characters, and what paths and padded names hold
_ODD = "".join(map(chr, (*range(0x20), 0x7F))) + " /\\~"
_BREAKS = dict.fromkeys(map(ord, "\t\n\r"), " ")


def are_plain(names: Sequence[str]) -> bool:
    """Whether no name can be odd, by one look at all of them: 3 ms where one by one takes 60."""
    joined = "".join(names)
    return (
        is_visible(joined)
        and not any(char in joined for char in _ODD)
        and all(names)
        and max(map(len, names), default=0) <= LONG_NAME
    )


def odd_names(names: Sequence[str], faults: FaultList) -> None:
    """Remark names that are no plain printable text.

    Hostile are control, bidirectional and invisible characters, empty and absurdly long names,
    names that look like paths, begin or end with a space.
    """
    for name in names:
        reason = _oddity(name)
        if reason:
            faults.add("hostile-name", f"{quoted(name)}: the name {reason}", tensor=name)


def odd_metadata(metadata: Mapping[str, str], faults: FaultList) -> None:
    """Remark metadata with characters that a terminal would obey; line breaks are ordinary."""
    for key, value in metadata.items():
        if not is_visible(key) or not value.translate(_BREAKS).isprintable():
            message = f"__metadata__ {quoted(key)} holds control or invisible characters"
            faults.add("hostile-metadata", message)


def _oddity(name: str) -> str | None:
    if not name:
        return "is empty"
    if not is_visible(name):
        return "holds control or invisible characters"
    if name.startswith(("/", "\\", "~")) or "../" in name or "..\\" in name:
        return "looks like a path"
    if len(name) > LONG_NAME:
        return f"is longer than {LONG_NAME:,} characters"
    if name != name.strip():
        return "begins or ends with a space"
    return None


def unaligned(
    size: int,
    kinds: Sequence[Kind],
    codes: array[int],
    starts: array[int] | None,
    faults: FaultList,
) -> None:
    """Remark data that begins, or tensors that lie, where their dtype is not aligned.

    `size` is the header's, in bytes. `starts` may be None for tensors that lie end to end from 0 on
    and are all of a multiple of 8 bytes.
    """
    base = 8 + size
    steps = [kind.dtype.alignment for kind in kinds]
    if starts is None:
        # every tensor begins at a multiple of 8 past the base
        count = sum(codes.count(code) for code, step in enumerate(steps) if base % step)
    else:
        places = zip(starts, map(steps.__getitem__, codes), strict=True)
        count = sum((base + start) % step != 0 for start, step in places)
    tensors = f"{count:,} tensor{'s' * (count != 1)} not aligned to the dtype"
    if base % ALIGNMENT:
        at = f"the data begin at byte {base:,}, not at a multiple of {ALIGNMENT}"
        faults.add("unaligned-data", f"{at}; {tensors}" if count else at)
    elif count:
        faults.add("unaligned-tensor", tensors)


def repeated_names(names: Sequence[str], faults: FaultList) -> None:
    """Remark names that stand more than once, which README.md of the format forbids."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            message = f"{quoted(name)} stands more than once; the last counts"
            faults.add("duplicate-name", message, tensor=name)
        seen.add(name)
