"""V006: scales of quantized weights that can't be what a quantizer wrote."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.contents import Group, Read, groups
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject
from ckptscan.content.values import Content
from ckptscan.late import Late
from ckptscan.structure.quantized import is_scale

# of the scales a negative one has no meaning; MLX writes negative `scales`
_POSITIVE = Late(r"(?i)(?:^|[._])(?:weight|input)_(?:global_)?scales?(?:_inv|_\d)?$")
_TAIL = 128  # characters of a name that say what it is


def bad_scale(subject: Subject) -> Iterator[Finding]:
    """A scale of a quantized weight is zero, negative, infinite or NaN.

    What it finds: scales that are NaN or infinite, zero all over, or negative where the scheme has
    no negative ones (error); and scales of which some are zero (warning), as they are for blocks of
    zeros. Small scales are read with `--peek`, all with `--deep`.
    Why it matters: every weight of the block is multiplied by it: NaN spreads, zero erases, and the
    reciprocal of zero is infinite (vllm#45212, vllm#54189, compressed-tensors#595).
    Example: model.layers.3.mlp.experts.17.up_proj.input_scale is 0.
    What to do: quantize again with data that reach all experts; or take a whole checkpoint.
    """
    content = subject.given.peeked
    found: dict[str, list[Read]] = {}
    erased = _erased(subject, content)
    for group in groups(subject, content):
        if group.is_float and group.role == "quantization":
            for one in group.tensors if is_scale(group.family.pattern) else ():
                what = _fault(group, one)
                if what == "zero" and _module(one.name) in erased:
                    what = "zero in places"
                if what:
                    found.setdefault(what, []).append(one)
    for what, tensors in found.items():
        is_error = what not in ("zero in places", "negative in places")
        count = f"{len(tensors):,} scale{'s are' if len(tensors) != 1 else ' is'}"
        yield BAD.finding(
            f"{count} {what}",
            *by_pattern(one.name for one in tensors),
            severity="error" if is_error else "warning",
            confidence=PROVED if is_error else INFERRED,
            hint="quantize again with data that reach every expert",
            expected="above zero",
            seen=_seen(tensors[0]),
        )


def _fault(group: Group, one: Read) -> str:
    found = one.found
    if found.nan or found.inf:
        return "no finite number"
    if found.lowest is not None and found.lowest < 0:
        is_sure = _POSITIVE.search(group.family.pattern[-_TAIL:])
        return "negative" if is_sure else ""
    if found.is_zero:
        return "zero"
    return "zero in places" if found.zeros else ""


def _module(name: str) -> str:
    return name.rpartition(".")[0]


def _erased(subject: Subject, content: Content | None) -> set[str]:
    """Modules whose weight is zero all over, so that a scale of zero loses nothing."""
    return {
        _module(one.name)
        for group in groups(subject, content)
        if group.role != "quantization"
        for one in group.tensors
        if one.found.is_zero
    }


def _seen(one: Read) -> str:
    found = one.found
    if found.nan or found.inf:
        return f"{found.nan:,} NaN, {found.inf:,} infinite of {found.seen:,}"
    return f"{found.zeros:,} zero of {found.seen:,}, lowest {found.lowest:.6g}"


BAD = Check("V006", "bad-scale", "error", bad_scale, "peeked")
CHECKS: tuple[Check, ...] = (BAD,)
