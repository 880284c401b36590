"""H012: tensors without elements."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.places import place_of
from ckptscan.checks.values import Check, Finding, Subject


def empty_tensor(subject: Subject) -> Iterator[Finding]:
    """A tensor has no element: its shape holds a 0.

    What it finds: tensors whose shape holds a 0, by pattern; a remark where none is [0], and each
    says what it would hold: no register tokens is [1, 0, 384].
    Why it matters: a model saved under ZeRO-3 or FSDP without gathering looks like this, and its
    weights are lost (DeepSpeed#2413: 309 of 851 tensors empty).
    Example: 309 of 851 tensors have no element, such as model.layers.*.mlp.up_proj.weight.
    What to do: save again with the parameters gathered; a few empty buffers may be meant.
    """
    empty = [family for family in subject.structure.families if 0 in family.shape]
    lost = [family for family in empty if family.shape == (0,)]
    if empty:
        count = sum(family.count for family in empty)
        all_of = subject.structure.tensors
        yield EMPTY.finding(
            f"{count:,} of {all_of:,} tensors have no element",
            *map(place_of, empty),
            severity="" if lost else "info",
            hint="save again with the parameters gathered (ZeRO-3, FSDP)",
            empty=count,
            tensors=all_of,
        )


EMPTY = Check("H012", "empty-tensor", "warning", empty_tensor)

CHECKS: tuple[Check, ...] = (EMPTY,)
