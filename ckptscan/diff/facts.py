"""A match -> the ways in which its two sides differ, by headers."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.diff.values import CAST, RENAMED, REQUANTIZED, RESHAPED, RESTRUCTURED, Change, Fact
from ckptscan.structure.match import Match, Part, Unit, is_repacked
from ckptscan.structure.match.rules import rule_of


def facts_of(match: Match) -> Iterator[Fact]:
    """All facts of a match that has two sides."""
    one, two = match.a[0], match.b[0]
    if match.composed:
        yield Fact(RESTRUCTURED, how=match.composed)
    else:
        yield from _shapes(one.unit, two.unit)
    if any(is_repacked(part.unit, other.unit) for part in match.a for other in match.b):
        yield Fact(REQUANTIZED, storage(one.unit), storage(two.unit))
    elif _dtypes(match.a) != _dtypes(match.b):
        yield Fact(CAST, _dtypes(match.a), _dtypes(match.b))
    if not match.composed and is_renamed(one, two):
        yield Fact(RENAMED, how=match.rule or _rule(one, two))


def _shapes(one: Unit, two: Unit) -> Iterator[Fact]:
    """What became of the shape, and of tensor-parallel parts."""
    if one.copies != two.copies:
        yield Fact(RESTRUCTURED, how=_parts(one.copies, two.copies))
    before, after = one.shape, two.shape
    if before is None or after is None or before == after:
        return
    if len(before) > 1 and before[:-2] == after[:-2] and before[-2:] == after[-2:][::-1]:
        yield Fact(RESTRUCTURED, how="transposed")
    else:
        yield Fact(RESHAPED, _written(before), _written(after), _resized(one, two))


def is_turned(change: Change) -> bool:
    """Whether rows became columns."""
    return any("transposed" in fact.how for fact in change.facts if fact.kind == RESTRUCTURED)


def _parts(before: int, after: int) -> str:
    """What became of tensor-parallel parts."""
    if before == 1:
        return f"cut into {after} tensor-parallel parts"
    if after == 1:
        return f"{before} tensor-parallel parts joined"
    return f"{before} tensor-parallel parts -> {after}"


def _resized(one: Unit, two: Unit) -> str:
    """What the rows of a table are."""
    before, after = one.shape or (), two.shape or ()
    is_table = one.role.name in ("embedding", "lm_head") and before[1:] == after[1:]
    return "vocabulary" if is_table and before and after else ""


def _written(shape: tuple[int, ...]) -> str:
    if len(shape) > 8:
        return f"[{', '.join(map(str, shape[:6]))}, ... {len(shape):,} dims]"
    return f"[{', '.join(map(str, shape))}]"


def _dtypes(parts: tuple[Part, ...]) -> str:
    return ", ".join(dict.fromkeys(part.unit.family.dtype.name for part in parts))


def storage(unit: Unit) -> str:
    """How the weights of a unit are stored: `BF16`, `gptq 4 bits, group 128`."""
    how = unit.packing
    if how is None:
        return unit.family.dtype.name
    words = [how.scheme if how.bits is None else f"{how.scheme} {how.bits} bits"]
    if isinstance(how.group, int):
        words.append(f"group {how.group}")
    elif how.group is not None:
        words.append(f"block {'x'.join(map(str, how.group))}")
    return ", ".join(words)


def is_renamed(one: Part, two: Part) -> bool:
    """Whether the names in the files differ, but for the leaf under which a weight is packed."""
    if one.unit.segments != two.unit.segments or one.own != two.own:
        return True
    if (one.unit.family.component, one.unit.family.pattern) == (
        two.unit.family.component,
        two.unit.family.pattern,
    ):
        return False
    return not is_repacked(one.unit, two.unit)


def _rule(one: Part, two: Part) -> str:
    """The rename in words, where whole segments tell it."""
    before, after = one.unit.family.pattern, two.unit.family.pattern
    if before == after:
        return ""
    if one.unit.segments == two.unit.segments:  # a wrapper's prefix
        return str(rule_of(tuple(before.split(".")), tuple(after.split("."))))
    return ""
