"""V009: rows of embeddings and heads that no training has touched."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.values import INFERRED, Check, Finding, Subject, Where
from ckptscan.content.values import RowUse
from ckptscan.names import IndexSet


def untrained_rows(subject: Subject) -> Iterator[Finding]:
    """Rows of an embedding or head are untrained.

    What it finds: rows that are zero, or a thousandth of the usual size; and rows that hold what
    another row holds. Rows past the config's vocab_size are padding, and are told as such.
    Why it matters: tokens of such rows mean nothing to the model, or all the same; a prompt that
    holds one may derail it ("glitch tokens").
    Example: 293 rows of model.embed_tokens.weight hold what another row holds: 151643-151935.
    What to do: nothing, if the rows are padding or reserved; else train them before they are used.
    """
    content = subject.given.content
    for row, use in content.tables.items() if content is not None else ():
        tensor = subject.checkpoint.table[row]
        vocabulary = subject.checkpoint.config.number("vocab_size")
        for count, ranges, what in (
            (use.small_count, use.small, "are zero or nearly so"),
            (use.same_count, use.same, "hold what another row holds"),
        ):
            if count:
                yield UNTRAINED.finding(
                    f"{count:,} of {use.rows:,} rows of {tensor.name} {what}"
                    + _padding(count, ranges, vocabulary, use),
                    Where(tensor=tensor.name),
                    confidence=INFERRED,
                    hint="fine where they are padding or reserved; else train them",
                    rows=ranges,
                    seen=count,
                )


def _padding(count: int, ranges: str, vocabulary: int | None, use: RowUse) -> str:
    """How many of the rows lie past the vocabulary."""
    if vocabulary is None or not 0 < vocabulary < use.rows:
        return ""
    padded = sum(
        last - max(first, vocabulary) + 1
        for first, last in IndexSet.parse(ranges).ranges
        if last >= vocabulary
    )
    if padded == count:
        return f", all past the {vocabulary:,} of vocab_size: padding"
    return f", {padded:,} of them past the {vocabulary:,} of vocab_size" if padded else ""


UNTRAINED = Check("V009", "untrained-rows", "info", untrained_rows, "content")
CHECKS: tuple[Check, ...] = (UNTRAINED,)
