"""Families of A beside what they are in B; cells that changed are marked, and named in words."""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.diff import Change, Diff
from ckptscan.diff.folding import Everything, fold
from ckptscan.diff.groups import ORDER
from ckptscan.diff.values import AUXILIARY, MOVED
from ckptscan.report import words
from ckptscan.report.diff import phrases
from ckptscan.report.html.markup import Child, Markup, element, name, text
from ckptscan.report.html.tables import columns, table
from ckptscan.structure.match import Part

_HEADS = columns(
    "A", "B", "dtype in A", "dtype in B", "shape in A", "shape in B", "#tensors", "what differs"
)
_MOST_PARTS = 4  # of one side of a change
_NOTHING = Everything(())
_ABSENT = "-"


def families(diff: Diff) -> Markup | None:
    """The families that changed, the gravest change first; None where there is none.

    Those that lie in other files alone, scales and the like are left out.
    """
    kinds = [kind for kind in ORDER if kind not in (MOVED, AUXILIARY)]
    held = [change for change in diff.changes if change.kind in kinds]
    held.sort(key=lambda change: kinds.index(change.kind))
    if not held:
        return None
    return table("Families of A beside those of B", _HEADS, map(_row, held), "beside")


def _row(change: Change) -> tuple[Child, ...]:
    sides = (change.a, change.b)
    names = [_patterns(side) for side in sides]
    dtypes = [_told({words.label(part.unit.family.dtype.name) for part in side}) for side in sides]
    shapes = [_told({words.shape(part.unit.family.shape) for part in side}) for side in sides]
    pairs: dict[str, list[Markup]] = {"name": names, "dtype": dtypes, "shape": shapes}
    is_both = change.a and change.b
    differs = [what for what, (a, b) in pairs.items() if is_both and a != b]
    said = f"{change.kind}: {', '.join(differs)}" if differs else change.kind
    marked = ((told, what in differs) for what, both in pairs.items() for told in both)
    cells = [element("mark", told) if is_changed else told for told, is_changed in marked]
    return (*cells, f"{change.tensors:,}", said)


def _told(values: set[str]) -> Markup:
    return element("span", ", ".join(sorted(values)[:_MOST_PARTS]) or _ABSENT, class_="whole")


def _patterns(parts: Sequence[Part]) -> Markup:
    """The patterns of a side, joined by a plus; a dash where it has none."""
    if not parts:
        return text(_ABSENT)
    told = [phrases.pattern(folded) for folded in fold(parts[:_MOST_PARTS], _NOTHING)]
    more = len(parts) - _MOST_PARTS
    rest = [f"{more:,} more"] if more > 0 else []
    return name(" + ".join([*told, *rest]))
