"""A diff with the figures that verdicts rest on; elements are logical, without books."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from ckptscan.content.pairs.values import CONSISTENT, SAMPLED, Found
from ckptscan.diff.folding import Everything, Folded, fold, prefix_stars
from ckptscan.diff.values import IDENTICAL, REMOVED, RESHAPED, Change, Diff
from ckptscan.names import IndexSet
from ckptscan.structure.match import Part, containers_of
from ckptscan.structure.tree import MTP


class Case:
    """A diff with the figures that rules ask for; elements are logical, without books."""

    def __init__(self, diff: Diff, are_files_equal: bool) -> None:
        self.diff = diff
        self.are_files_equal = are_files_equal

    @cached_property
    def matched(self) -> list[Change]:
        """Changes with two sides, without books."""
        return [one for one in self.diff.changes if one.a and one.b and not is_book(one)]

    @cached_property
    def total(self) -> int:
        """Elements of the side that has fewer."""
        sides = ([one.a for one in self.diff.changes], [one.b for one in self.diff.changes])
        return min(sum(map(elements, parts)) for parts in sides)

    @cached_property
    def common(self) -> int:
        """Elements of A that have a partner of as many elements."""
        return sum(elements(one.a) for one in self.matched if not one.fact(RESHAPED))

    @cached_property
    def alike(self) -> int:
        """Elements of A that were read and do not differ, where they are more than zeros."""
        return sum(
            elements(one.a)
            for one in self.matched
            if one.evidence.content in (IDENTICAL, CONSISTENT)
            or (one.evidence.found and _is_like(one.evidence.found))
        )

    @cached_property
    def kinds(self) -> tuple[str, str] | None:
        """What config.json calls both models, where it names different kinds."""
        named = [side.checkpoint.config.model_type for side in (self.diff.a, self.diff.b)]
        one, two = named
        return (one, two) if one and two and one != two else None

    @property
    def is_one_model(self) -> bool:
        """Whether nothing but the storage speaks against one and the same model."""
        return self.kinds is None and self.common > 0.95 * self.total

    def share(self, kind: str) -> float:
        """The share of the matched elements whose changes have a fact of this kind."""
        whole = sum(elements(one.a) for one in self.matched)
        part = sum(elements(one.a) for one in self.matched if one.fact(kind))
        return part / whole if whole else 0.0

    def count(self, kind: str) -> int:
        """Tensors of a kind."""
        return self.diff.summary[kind]

    def drafting(self, side: str) -> set[tuple[str, IndexSet]]:
        """The layers of one side that draft tokens: container and numbers."""
        mtp = (self.diff.a if side == "a" else self.diff.b).mtp
        nodes = [] if mtp is None else mtp.children if mtp.path == MTP else [mtp]
        return {
            (node.path.removesuffix(".*"), node.repeat) for node in nodes if node.repeat is not None
        }

    def unexplained(self, kind: str) -> list[Part]:
        """Parts that are gone or new, without missing layers, heads and what drafts tokens."""
        side, other = ("a", "b") if kind == REMOVED else ("b", "a")
        known: dict[str, set[int]] = {}
        for one in self.diff.layers:
            name, numbers = (one.a, one.gone) if side == "a" else (one.b, one.new)
            known.setdefault(name, set()).update(numbers)
        tied = getattr(self.diff, other).parameters.tied is True
        has_drafts = getattr(self.diff, side).mtp is not None
        drops_drafts = has_drafts and getattr(self.diff, other).mtp is None
        left = [
            _without(part, known)
            for one in self.diff.changes
            if one.kind == kind
            for part in one.a or one.b
            if not (tied and is_head(part)) and not (drops_drafts and "mtp" in part.unit.kin)
        ]
        return [part for part in left if len(part.region)]

    def modules(self, parts: list[Part], kind: str) -> list[Folded]:
        """Those of `wholes` that are modules, or the only tensor."""
        return [one for one in self.wholes(parts, kind) if one.is_whole or len(parts) == 1]

    def wholes(self, parts: list[Part], kind: str) -> list[Folded]:
        """Modules outside of any layer that are gone or new as a whole; the largest first."""
        side = [part for one in self.diff.changes for part in (one.a if kind == REMOVED else one.b)]
        found = fold(parts, Everything(side)) if parts else []
        plain = [one for one in found if not prefix_stars(one.segments) and one.segments]
        return sorted(plain, key=lambda one: -one.nbytes)


def _is_like(found: Found) -> bool:
    """Whether samples show no difference in numbers that are not all zero."""
    return found.state == SAMPLED and found.figures is not None and found.figures.base > 0


def is_head(part: Part) -> bool:
    """Whether it is the model's output table."""
    return part.unit.role.name == "lm_head" and not part.unit.kin


def _without(part: Part, known: Mapping[str, set[int]]) -> Part:
    """What of a part lies in no layer, or expert, that is told as missing."""
    region, own_of = part.region, part.unit.numbers
    for place, container in containers_of(part.unit):
        gone = known.get(".".join(container))
        if gone and len(region):
            own = own_of if place == 0 else {}
            kept = frozenset(one for one in region.axes[place] if own.get(one, one) not in gone)
            region = region.narrowed(place, kept)
    return part._replace(region=region)


def is_book(change: Change) -> bool:
    """Whether a change concerns books of packed weights alone."""
    return all(part.unit.is_book for part in (*change.a, *change.b))


def elements(parts: tuple[Part, ...]) -> int:
    """Logical elements of these parts, without books."""
    return sum(len(part.region) * (part.unit.each or 0) for part in parts if not part.unit.is_book)
