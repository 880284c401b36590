"""V001, V008: what is no number, and what a cast to F16 has cut off."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.contents import Group, Read, groups
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, Check, Finding, Subject

_BOOKS = frozenset({"quantization", "buffer", "rope", "position"})
_FLOOD = 0.5  # of the elements that are not zero; sound models in F16 have up to 0.01


def not_finite(subject: Subject) -> Iterator[Finding]:
    """A tensor holds NaN or infinities.

    What it finds: elements of weights that are NaN or infinite (error), and NaN in buffers
    (warning). Masks and tables of biases that hold -inf on purpose are left alone, as are the
    limits that an observer begins with; scales are told by V006.
    Why it matters: one NaN in a weight makes every logit NaN; the model answers with nothing, or
    with token 0 for ever (compressed-tensors#595: 14 of 92,400 scales were infinite).
    Example: model.layers.3.mlp.down_proj.weight: 1 NaN.
    What to do: compare the file's sha256 with the publisher's (`--hash`); if it is right, the model
    was saved after it had diverged, or overflowed in a cast to F16.
    """
    weights: list[Read] = []
    books: list[Read] = []
    for group in groups(subject, subject.given.content):
        if group.role not in _BOOKS:
            weights += [one for one in group.tensors if _is_odd(group, one)]
        elif not _is_scale(group):
            books += [one for one in group.tensors if one.found.nan]
    if weights:
        yield _finding(weights, "error", "weights")
    if books:
        yield _finding(books, "warning", "buffers")


def _is_odd(group: Group, one: Read) -> bool:
    if one.found.nan:
        return True
    is_mask = "mask" in group.family.pattern.lower()
    return one.found.inf > (one.found.negative_inf if is_mask else 0)


def _is_scale(group: Group) -> bool:
    return group.role == "quantization" and "scale" in group.family.pattern.lower()


def _finding(odd: list[Read], severity: str, what: str) -> Finding:
    nan = sum(one.found.nan for one in odd)
    inf = sum(one.found.inf for one in odd)
    count = f"{len(odd):,} tensor{'s' * (len(odd) != 1)}"
    return NOT_FINITE.finding(
        f"{count} of {what} hold what is no finite number: {nan:,} NaN, {inf:,} infinite",
        *by_pattern(one.name for one in odd),
        severity=severity,
        hint="compare the file's sha256 with the publisher's: --hash",
        tensors=len(odd),
        nan=nan,
        infinite=inf,
    )


def cut_off_by_f16(subject: Subject) -> Iterator[Finding]:
    """A cast to F16 has cut numbers off.

    What it finds: elements of F16 weights at +-65504, where a cast ends that clamps; and weights of
    which more than half lie below the smallest normal number, 0.00006, where F16 has few bits left.
    Why it matters: BF16 reaches to 3e38, F16 to 65504; what was larger is now another number, what
    was smaller is rounded coarsely, or zero.
    Example: 12 elements at 65504 in model.layers.1.mlp.down_proj.weight.
    What to do: cast from the original anew to BF16, or scale before the cast.
    """
    ends: list[Read] = []
    floods: list[Read] = []
    for group in groups(subject, subject.given.content):
        if group.family.dtype.name != "F16" or group.role in _BOOKS:
            continue
        ends += [one for one in group.tensors if one.found.saturated]
        floods += [one for one in group.tensors if group.is_weight and _is_flooded(one)]
    if ends:
        count = sum(one.found.saturated for one in ends)
        yield CUT_OFF.finding(
            f"{count:,} elements of F16 lie at +-65504, where a cast cuts off",
            *by_pattern(one.name for one in ends),
            confidence=INFERRED,
            hint="cast from the original anew, to BF16",
            elements=count,
        )
    if floods:
        yield CUT_OFF.finding(
            f"most elements of {len(floods):,} tensors are too small for F16, and rounded coarsely",
            *by_pattern(one.name for one in floods),
            confidence=INFERRED,
            hint="cast from the original anew, to BF16",
            subnormal=sum(one.found.subnormal for one in floods),
        )


def _is_flooded(one: Read) -> bool:
    held = one.found.measured - one.found.zeros
    return held > 0 and one.found.subnormal > _FLOOD * held


NOT_FINITE = Check("V001", "not-finite", "error", not_finite, "content")
CUT_OFF = Check("V008", "f16-overflow", "warning", cut_off_by_f16, "content")
CHECKS: tuple[Check, ...] = (NOT_FINITE, CUT_OFF)
