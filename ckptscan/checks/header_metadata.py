"""H013, H014: what headers say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.places import bounded, of_kinds, told
from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where


def missing_format(subject: Subject) -> Iterator[Finding]:
    """The metadata of a file do not name its format, or are no strings.

    What it finds: files whose `__metadata__` is absent, null or without `format`; as an error,
    values that are no strings.
    Why it matters: older transformers refuse a file without `format`; the reference library
    refuses metadata that are no strings.
    Example: 2 of 4 files have no `format` in their metadata.
    What to do: save with `metadata={"format": "pt"}`.
    """
    yield from told(
        MISSING_FORMAT, of_kinds(subject.checkpoint, ("metadata-type", "metadata-null"))
    )
    shards = [shard for shard in subject.checkpoint.table.shards if shard.rows]
    without = [shard for shard in shards if "format" not in shard.metadata]
    if without:
        yield MISSING_FORMAT.finding(
            _without_format(len(without), len(shards)),
            *bounded(Where(shard.path) for shard in without),
            hint='save with metadata={"format": "pt"}',
            files=len(without),
        )


def _without_format(count: int, files: int) -> str:
    if files == 1:
        return "the file has no `format` in its metadata"
    return f"{count:,} of {files:,} files have no `format` in their metadata"


def wrong_parameter_count(subject: Subject) -> Iterator[Finding]:
    """A count of parameters that the files declare is none that the tensors give.

    What it finds: `total_parameters` and the like, in headers or an index, that equal none of the
    sums people publish: stored, logical, active, with and without embeddings.
    Why it matters: the files were changed after the count was written, or it counts something else.
    Example: the header declares 8,030,261,248 parameters; 8,030,261,250 are stored.
    What to do: compare with the publisher's files.
    """
    if subject.checkpoint.incomplete:
        return
    for declared in subject.structure.declared:
        # counts that the Hub's page claims are the place's, not the files'
        if not declared.equals and declared.where.startswith(("index ", "header ")):
            stored = subject.structure.parameters.stored_elements
            place = subject.checkpoint.used[0] if declared.where.startswith("index ") else None
            yield WRONG_COUNT.finding(
                f"the {declared.where} says {declared.value:,}, which no sum of ours equals",
                *([Where(place)] if place else []),
                confidence=INFERRED,
                hint="compare with the publisher's files",
                expected=declared.value,
                seen=stored,
            )


MISSING_FORMAT = Check("H013", "missing-format", "info", missing_format)
WRONG_COUNT = Check("H014", "wrong-parameter-count", "warning", wrong_parameter_count)

CHECKS: tuple[Check, ...] = (MISSING_FORMAT, WRONG_COUNT)
