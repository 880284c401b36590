"""V007: weights that are far larger or smaller than those of the layers beside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from ckptscan.checks.evidence.contents import CORE, TABLES, Group, Read, groups
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, Check, Finding, Subject

_SIBLINGS = 6  # of one family, for a median that says something
_TIMES = 10.0
_RAW = 448.0  # the largest number of F8_E4M3
_RAW_STD = 5.0  # no trained weight is as wide; FP8 without its scale is at 50 and more


def odd_magnitude(subject: Subject) -> Iterator[Finding]:
    """A weight is ten times larger or smaller than its siblings.

    What it finds: matrices whose standard deviation is ten times that of the same matrix in other
    layers or experts, or a tenth; and weights that reach exactly to 448 and are as wide as FP8 is
    before its scale is applied.
    Why it matters: a scale that was not applied, or twice, gives a weight of the right shape and
    the wrong size (unsloth#6978: FP8 read raw is 200 times too large).
    Example: the std of model.layers.3.mlp.up_proj.weight is 4.1, of its siblings 0.02.
    What to do: look how the layer was converted; first and last layers may differ by design.
    """
    for group in groups(subject, subject.given.content):
        if not group.is_weight or not group.is_float or group.role not in CORE - TABLES:
            continue
        if (group.family.dtype.bits or 0) >= 16:
            raw = [one for one in group.tensors if _is_raw(one)]
            if raw:
                yield _raw(raw)
                continue
        yield from _outliers(group)


def _is_raw(one: Read) -> bool:
    return one.found.absmax == _RAW and one.found.std > _RAW_STD


def _raw(tensors: list[Read]) -> Finding:
    return ODD.finding(
        f"{len(tensors):,} weights look like FP8 without its scale: they reach to 448 exactly",
        *by_pattern(one.name for one in tensors),
        confidence=INFERRED,
        hint="convert again, with the scales applied",
        seen=f"std {tensors[0].found.std:.3g}",
    )


def _outliers(group: Group) -> Iterator[Finding]:
    sizes = {
        one.row: one.found.std
        for one in group.tensors
        if math.isfinite(one.found.std) and one.found.std > 0
    }
    if len(sizes) < _SIBLINGS:
        return
    usual = median(sizes.values())
    odd = [
        one
        for one in group.tensors
        if one.row in sizes and not usual / _TIMES < sizes[one.row] < usual * _TIMES
    ]
    if odd:
        worst = max(odd, key=lambda one: abs(math.log(sizes[one.row] / usual)))
        yield ODD.finding(
            f"{len(odd):,} of {len(sizes):,} weights have another size than their siblings:"
            f" std {sizes[worst.row]:.3g}, theirs {usual:.3g}",
            *by_pattern(one.name for one in odd),
            confidence=INFERRED,
            hint="was a scale left out, or applied twice?",
            expected=f"std {usual:.3g}",
            seen=f"std {sizes[worst.row]:.3g}",
        )


ODD = Check("V007", "odd-magnitude", "warning", odd_magnitude, "content")
CHECKS: tuple[Check, ...] = (ODD,)
