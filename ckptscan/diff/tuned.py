"""What tensors that were read amount to: tuned, merged with an adapter, trained anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ckptscan.content.pairs.values import CHANGED, CONSISTENT, SAMPLED, Figures, Fit
from ckptscan.diff.case import Case
from ckptscan.diff.values import (
    BY_SAMPLES,
    CONTENT,
    HEADERS,
    IDENTICAL,
    MOVED,
    PROVED,
    UNPROVED,
    Change,
    Verdict,
)

_UNLIKE = 0.5  # relative difference; weights trained apart differ by 1.41
_SHOWN = 6  # modules that are named


def proof_of(changes: Iterable[Change]) -> str:
    """What is known of content: all proved equal, no difference in samples, or less."""
    states = {one.evidence.content for one in changes}
    if states == {IDENTICAL}:
        return PROVED
    return BY_SAMPLES if states and states <= {IDENTICAL, SAMPLED, CONSISTENT} else HEADERS


def figures_of(changes: Iterable[Change]) -> Figures:
    """The figures of all that was read of these."""
    total = Figures()
    for one in changes:
        if one.evidence.found is not None and one.evidence.found.figures is not None:
            total = total.plus(one.evidence.found.figures)
    return total


def fit_of(changes: Iterable[Change]) -> Fit | None:
    """How well the codes of these stand for the other side's numbers; None where it is open."""
    total: Fit | None = None
    for one in changes:
        fit = one.evidence.found.fit if one.evidence.found else None
        if fit is not None and one.evidence.content == CONSISTENT:
            total = fit if total is None else total.plus(fit)
    return total


def fit_words(changes: Sequence[Change]) -> str:
    """The same in words, empty where it is open; zeros on both sides tell nothing."""
    known = [one for one in changes if one.evidence.content == CONSISTENT]
    fit, figures = fit_of(known), figures_of(known)
    if fit is None or not figures.base:
        return ""
    count, total = (sum(one.tensors for one in some) for some in (known, changes))
    where = f"in {count:,} of {total:,} tensors " if count < total else ""
    scaled = "channels scaled, " if fit.is_scaled else ""
    if not fit.inexact:
        return f"{where}the same numbers but for rounding"
    if not figures.changed:
        return f"{where}{scaled}no number is more than half a step off"
    relative = f"relative L2 {figures.relative:.3g}"
    return f"{where}{scaled}{relative}, as methods leave that make up for errors"


def tuned(case: Case) -> Iterator[Verdict]:
    """Tensors whose content is proved to have changed."""
    known = [one for one in case.diff.changes if one.evidence.content]
    compared = [one for one in known if one.evidence.content != UNPROVED]
    changed = [one for one in compared if one.evidence.content == CHANGED]
    count, total = (sum(one.tensors for one in some) for some in (changed, known))
    if not count:
        return
    is_same = all(one.kind in (IDENTICAL, MOVED, CONTENT, UNPROVED) for one in case.diff.changes)
    modules = merged_modules(changed, compared)
    tolerated = sum(
        one.tensors for one in changed if one.evidence.found and one.evidence.found.is_tolerated
    )
    if tolerated == count:
        text = f"all differences are within tolerance ({count:,} of {total:,} tensors)"
        yield Verdict("within-tolerance", text, PROVED)
    elif modules:
        more = " ..." if len(modules) > _SHOWN else ""
        text = f"B is A plus a merged adapter on {', '.join(modules[:_SHOWN])}{more}"
        yield Verdict("merged-adapter", f"{text} ({count:,} tensors changed)", PROVED)
    elif figures_of(changed).relative > _UNLIKE and count > 0.5 * total:
        text = f"other weights: {count:,} of {total:,} tensors have little in common"
        yield Verdict("other-weights", text, PROVED)
    else:
        what = "fine-tuned" if is_same and count * 20 > total else "changed"
        is_open = any(one.evidence.content in (SAMPLED, CONSISTENT, UNPROVED) for one in known)
        share = f"{'at least ' * is_open}{count * 100 / total:.3g} %"
        text = f"{what}: {share} of tensors changed ({count:,} of {total:,})"
        yield Verdict("tuned", text, PROVED)


def merged_modules(changed: Iterable[Change], compared: Iterable[Change]) -> list[str]:
    """The modules that an adapter was merged into; none where anything else changed.

    All that changed differs by a matrix of low rank, and not all matrices changed.
    """
    names: dict[str, None] = {}
    for one in changed:
        found = one.evidence.found
        if found is None or found.rank is None:
            return []
        names.update({part.unit.module[-1]: None for part in one.a if part.unit.module})
    return list(names) if any(one.evidence.content == IDENTICAL for one in compared) else []
