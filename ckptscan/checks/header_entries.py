"""H006, H010, H011: entries of a header that are repeated, malformed, or of no known dtype."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ckptscan.checks.places import of_kinds, told
from ckptscan.checks.values import Check, Finding, Subject


def repeated_key(subject: Subject) -> Iterator[Finding]:
    """A name stands twice in one header.

    What it finds: a tensor, or a key of `__metadata__`, that a header lists more than once; the
    byte is that of the last, which counts.
    Why it matters: parsers keep the last or the first, so two readers see two models; the format
    forbids it, and the reference library does not notice.
    Example: 'lm_head.weight' stands more than once; the last counts.
    What to do: don't trust the file; write it anew from a source that you trust.
    """
    kinds = ("duplicate-name", "duplicate-metadata", "duplicate-metadata-key")
    faults = told(
        REPEATED,
        of_kinds(subject.checkpoint, kinds),
        "write the file anew from a source that you trust",
    )
    for finding in faults:
        if finding.evidence["kind"] == "duplicate-name":
            yield replace(finding, severity=REPEATED.severity)
        else:
            yield finding


def malformed_entry(subject: Subject) -> Iterator[Finding]:
    """An entry of a header is not what the format says an entry is.

    What it finds: a negative, fractional or overflowing dimension or offset, an offset pair that
    runs backwards, a missing or wrong field; as a warning, forms that the reference tolerates.
    Why it matters: products that wrap around end in reads out of bounds (safetensors#765); the
    reference library refuses the file.
    Example: 'w': shape holds -1, which is no unsigned 64-bit integer.
    What to do: write the file anew with the safetensors library; don't trust it as it is.
    """
    kinds = (
        "malformed-entry",
        "shape-overflow",
        "offsets-reversed",
        "unknown-field",
        "odd-entry-form",
    )
    hint = "write the file anew with the safetensors library"
    yield from told(MALFORMED, of_kinds(subject.checkpoint, kinds), hint)


def unknown_dtype(subject: Subject) -> Iterator[Finding]:
    """A tensor has a dtype that the format does not know.

    What it finds: a dtype that is none of the 22 of safetensors 0.8.
    Why it matters: the reference library refuses the file; a newer writer may know more.
    Example: 'w': dtype 'F8_E4M3B11' is none of the format's.
    What to do: look which library wrote it, and load it with that one.
    """
    hint = "load it with the library that wrote it"
    yield from told(UNKNOWN_DTYPE, of_kinds(subject.checkpoint, ("unknown-dtype",)), hint)


REPEATED = Check("H006", "repeated-key", "error", repeated_key)
MALFORMED = Check("H010", "malformed-entry", "error", malformed_entry)
UNKNOWN_DTYPE = Check("H011", "unknown-dtype", "error", unknown_dtype)

CHECKS: tuple[Check, ...] = (REPEATED, MALFORMED, UNKNOWN_DTYPE)
