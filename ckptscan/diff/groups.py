"""Changes -> groups of one fact each, as people read them: few lines, patterns and ranges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptscan.content.pairs.values import SAMPLED
from ckptscan.diff.folding import Everything, Folded, fold
from ckptscan.diff.tuned import figures_of, fit_words
from ckptscan.diff.values import (
    ADDED,
    AUXILIARY,
    CAST,
    CONTENT,
    IDENTICAL,
    MOVED,
    REMOVED,
    RENAMED,
    REQUANTIZED,
    RESHAPED,
    RESTRUCTURED,
    UNPROVED,
    Change,
    Diff,
    Fact,
)
from ckptscan.structure.match import Part

# the order in which kinds are told
ORDER = (
    REMOVED,
    ADDED,
    RESTRUCTURED,
    REQUANTIZED,
    RESHAPED,
    CAST,
    RENAMED,
    CONTENT,
    MOVED,
    AUXILIARY,
)
_SILENT = frozenset({IDENTICAL, UNPROVED})


class Line(NamedTuple):
    """Patterns of A and what they are in B; one side alone where the names are the same."""

    a: tuple[Folded, ...]
    b: tuple[Folded, ...]
    tensors: int


class Group(NamedTuple):
    """Changes of one kind and the same facts; `doubt` says why they may be otherwise.

    `in_a` and `in_b` tell which sides have such tensors.
    """

    kind: str
    what: str
    doubt: str
    tensors: int
    lines: tuple[Line, ...]
    in_a: bool
    in_b: bool


def groups(diff: Diff, is_content: bool = False) -> list[Group]:
    """The groups of a diff, the gravest first; what is equal or not proved is left out.

    With `is_content` those alone whose content is known to have changed.
    """
    ours = Everything(part for one in diff.changes for part in one.a)
    theirs = Everything(part for one in diff.changes for part in one.b)
    together: dict[tuple[str, str, str], list[Change]] = {}
    for change in diff.changes:
        if change.kind not in _SILENT and (not is_content or change.fact(CONTENT)):
            key = change.kind, "; ".join(_words(change)), _doubt(change)
            together.setdefault(key, []).append(change)
    found = [
        Group(
            kind,
            "; ".join(filter(None, (what, measured(some)))),
            doubt,
            sum(one.tensors for one in some),
            tuple(_lines(some, ours, theirs)),
            any(one.a for one in some),
            any(one.b for one in some),
        )
        for (kind, what, doubt), some in together.items()
    ]
    return sorted(found, key=lambda one: (ORDER.index(one.kind), -one.tensors))


def _words(change: Change) -> Iterator[str]:
    """What the facts of a change are, the one that names its kind first."""
    if change.kind == AUXILIARY:
        yield _books(change)
        return
    for fact in sorted(change.facts, key=lambda fact: fact.kind != change.kind):
        words = fact_words(fact, change)
        if words:
            yield words


def fact_words(fact: Fact, change: Change) -> str:
    """One fact in words."""
    if fact.kind == CONTENT:
        return _changed(change)
    if fact.kind == RENAMED:
        return _renamed(change, fact)
    if fact.kind == MOVED:
        states = {IDENTICAL: "content proved equal", SAMPLED: "no difference in samples"}
        state = states.get(change.evidence.content, "same names")
        return f"to other files, {state}"
    if fact.kind == RESHAPED:
        return f"{fact.before} -> {fact.after}{_rows(change, fact)}"
    return fact.how or f"{fact.before} -> {fact.after}"


def _changed(change: Change) -> str:
    """What kind of difference the content has."""
    found = change.evidence.found
    if found is not None and found.is_tolerated:
        return "within tolerance"
    if found is not None and found.rank is not None:
        return "by a matrix of low rank, as merged adapters are"
    return "" if change.kind == CONTENT else "content changed"


def measured(some: Sequence[Change]) -> str:
    """By how much tensors differ that changed, in figures; empty for others."""
    changed = [one for one in some if one.fact(CONTENT)]
    total = figures_of(changed)
    if not total.seen:
        return fit_words(some)
    ranks = [one.evidence.found.rank or 0 for one in changed if one.evidence.found]
    rank = f"rank {max(ranks)}, " if max(ranks) else ""
    share = f"{total.different * 100 / total.seen:.3g} %"
    what = "elements" if all(map(is_whole, changed)) else "elements that were read"
    size = f"by at most {total.largest:.3g}, relative L2 {total.relative:.3g}"
    return f"{rank}{share} of {what} differ, {size}"


def is_whole(change: Change) -> bool:
    """Whether all elements of a change were compared."""
    found = change.evidence.found
    if found is None or found.figures is None:
        return False
    return found.figures.seen >= sum(
        part.tensors * part.unit.family.kind.numel for part in change.a
    )


def _renamed(change: Change, fact: Fact) -> str:
    how = {
        "layers": "layers renumbered",
        "role": "by role and shape",
        "shapes": "by shape alone",
        "module": "with their module",
    }
    return fact.how or how.get(change.evidence.how, "other names")


def _rows(change: Change, fact: Fact) -> str:
    """Which rows of a table are new or gone."""
    if fact.how != "vocabulary":
        return ""
    before, after = ((part.unit.shape or (0,))[0] for part in (change.a[0], change.b[0]))
    first, last = sorted((before, after))
    return f", rows {first}-{last - 1} are {'new' if after > before else 'gone'}"


def _books(change: Change) -> str:
    if change.a and change.b:
        return "scales and the like, stored otherwise"
    return f"scales and the like, {'gone' if change.a else 'new'} with the packing"


def _doubt(change: Change) -> str:
    if change.evidence.is_sure:
        return ""
    if change.evidence.how == "shapes" and len(change.a) + len(change.b) > 2:
        return "nothing but the number of rows speaks for it"
    if change.evidence.how == "shapes":
        return "nothing but the shape speaks for it"
    if change.fact(RESTRUCTURED):
        return "rows may be interleaved"
    return "it may be another thing of the same name"


def _lines(some: Sequence[Change], ours: Everything, theirs: Everything) -> Iterator[Line]:
    """The lines of a group: folded where both sides have one name or one rule explains both."""
    if not _needs_pairs(some):
        parts = [part for one in some for part in one.a or one.b]
        for folded in fold(parts, ours if some[0].a else theirs):
            yield Line((folded,), (), folded.tensors)
        return
    if all(one.evidence.how == "layers" for one in some):
        before = fold([part for one in some for part in one.a], ours)
        after = fold([part for one in some for part in one.b], theirs)
        if len(before) == len(after) == 1:
            yield Line((before[0],), (after[0],), before[0].tensors)
            return
    for one in some:
        yield Line(_side(one.a, ours), _side(one.b, theirs), one.tensors)


def _needs_pairs(some: Iterable[Change]) -> bool:
    """Whether the names of both sides have to be told."""
    for one in some:
        if one.a and one.b:
            fact = one.fact(RENAMED)
            if (fact and not fact.how) or len(one.a) + len(one.b) > 2:
                return True
            if one.fact(RESTRUCTURED) and one.a[0].unit.segments != one.b[0].unit.segments:
                return True
    return False


def _side(parts: tuple[Part, ...], everything: Everything) -> tuple[Folded, ...]:
    """The patterns of one side of a change, alike ones in braces."""
    return tuple(fold(parts, everything)) if len(parts) > 1 else tuple(fold(parts, _NOTHING))


_NOTHING = Everything(())
