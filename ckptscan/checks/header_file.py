"""H001-H005: whether a weight file is one at all, as long as it says, with a header that reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ckptscan.checks.places import of_kinds, told
from ckptscan.checks.values import Check, Finding, Subject
from ckptscan.header import LENGTH

UNREADABLE_KINDS = (
    "header-not-utf8",
    "header-not-json",
    "value-not-json",
    "leading-whitespace",
    "odd-padding",
)


def not_safetensors(subject: Subject) -> Iterator[Finding]:
    """A file with the name of a weight file holds something else.

    What it finds: a Git LFS pointer, an HTML page, a zip archive, a pickle, zeros or other bytes
    where a safetensors header should stand.
    Why it matters: loaders answer with "HeaderTooLarge", which hides that the download never
    brought the weights (transformers#27923, DeepSeek-V3#557).
    Example: model.safetensors has 135 bytes and begins `version https://git-lfs.github.com/spec`.
    What to do: bring the file itself: `git lfs pull`, or download it again.
    """
    yield from told(
        NOT_SAFETENSORS,
        of_kinds(subject.checkpoint, ("not-safetensors",)),
        "download the file again",
    )


def truncated_file(subject: Subject) -> Iterator[Finding]:
    """A file ends before its last tensor does.

    What it finds: a file shorter than its header and tensors together, with the bytes missing.
    Why it matters: the reference library refuses it (MetadataIncompleteBuffer); a broken download
    looks like this (QwenLM/Qwen#462, microsoft/BitNet#608).
    Example: the tensors end at byte 4,976,698,592, the file at 1,843,200,000.
    What to do: download the file again, and compare its size with the one on the Hub.
    """
    kinds = ("truncated", "file-too-small")
    hint = "download the file again; compare its size with the one on the Hub"
    yield from told(TRUNCATED, of_kinds(subject.checkpoint, kinds), hint)


def trailing_bytes(subject: Subject) -> Iterator[Finding]:
    """Bytes follow the last tensor.

    What it finds: bytes of a file that no tensor covers, after the last one; with
    `--peek` also whether they are zeros.
    Why it matters: the reference library refuses the file, and whatever lies there was not written
    by a safetensors writer: padding, a second file, a payload.
    Example: 4,096 bytes follow the last tensor, from byte 15,231,271,888 on.
    What to do: compare size and sha256 with the publisher's; write the file anew.
    """
    hint = "compare size and sha256 with the publisher's"
    peeked = subject.given.peeked
    for found in told(TRAILING, of_kinds(subject.checkpoint, ("trailing-bytes",)), hint):
        if peeked is None or not peeked.trailing:
            yield found
            continue
        data = [path for path, is_zero in peeked.trailing.items() if not is_zero]
        what = f"not all zero, as in {data[0]}" if data else "all zero, as padding is"
        message = f"{found.message}; what was read of them is {what}"
        yield replace(found, message=message, evidence={**found.evidence, "zeros": not data})


def impossible_header_length(subject: Subject) -> Iterator[Finding]:
    """The length that a file begins with can't be that of its header.

    What it finds: a stated header length of 0, beyond the end of the file, or above the format's
    limit of 100,000,000 bytes.
    Why it matters: a reader that trusts it allocates what it says (CVE-2023-37470 is of this
    class); the reference library refuses the file.
    Example: the header says 8,388,608 bytes, 1,024 follow its length.
    What to do: download the file again; the beginning of a file is overwritten, or its end is cut.
    """
    kinds = ("header-too-large", "header-past-end")
    hint = "download the file again; its length is damaged, or its end is cut"
    faults = of_kinds(subject.checkpoint, kinds)
    told_by_text = of_kinds(subject.checkpoint, ("not-safetensors", *UNREADABLE_KINDS))
    empty = _empty(subject)
    zero = "the header says 0 bytes"
    faults += [
        found._replace(fault=found.fault._replace(message=zero))
        for found in told_by_text
        if found.file in empty
    ]
    yield from told(IMPOSSIBLE_LENGTH, faults, hint)


def unreadable_header(subject: Subject) -> Iterator[Finding]:
    """A header is no UTF-8, no JSON, or not laid out as the format says.

    What it finds: a header that does not parse, with the place where it breaks; as a warning, what
    the reference tolerates and the format forbids: white space before the brace, odd padding.
    Why it matters: the reference library refuses what does not parse, and readers disagree about
    the rest.
    Example: the JSON breaks at character 1,204: a string is not closed.
    What to do: download the file again, or write it anew with the safetensors library.
    """
    empty = _empty(subject)
    faults = of_kinds(subject.checkpoint, UNREADABLE_KINDS)
    hint = "download the file again, or write it anew"
    yield from told(UNREADABLE, [found for found in faults if found.file not in empty], hint)


def _empty(subject: Subject) -> frozenset[str]:
    """Files that say their header has no bytes, whatever follows."""
    shards = subject.checkpoint.table.shards
    return frozenset(
        shard.path for shard in shards if not shard.header_size and shard.file_size >= LENGTH
    )


NOT_SAFETENSORS = Check("H001", "not-safetensors", "error", not_safetensors)
TRUNCATED = Check("H002", "truncated-file", "error", truncated_file)
TRAILING = Check("H003", "trailing-bytes", "error", trailing_bytes)
IMPOSSIBLE_LENGTH = Check("H004", "impossible-header-length", "error", impossible_header_length)
UNREADABLE = Check("H005", "unreadable-header", "error", unreadable_header)

CHECKS: tuple[Check, ...] = (NOT_SAFETENSORS, TRUNCATED, TRAILING, IMPOSSIBLE_LENGTH, UNREADABLE)
