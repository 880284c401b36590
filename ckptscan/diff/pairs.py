"""Changes -> pairs of tensors whose elements should be the same, as runs of elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from ckptscan.content.pairs.bits import can_cast
from ckptscan.content.pairs.values import Pair, Run
from ckptscan.diff.facts import is_turned
from ckptscan.diff.rows import (
    Linked,
    Rows,
    is_composed,
    is_joined,
    is_named,
    rows_of_head,
    whole_of,
)
from ckptscan.diff.values import REQUANTIZED, RESHAPED, Change
from ckptscan.structure.families import Family
from ckptscan.structure.match import Part
from ckptscan.table import TensorTable

_TABLES = frozenset({"embedding", "lm_head"})
LARGE = 256 << 20  # bytes of a turned matrix from which on it is read by windows


def linked(change: Change, group: int, a: Rows, b: Rows, heads: int) -> list[Linked]:
    """The pairs of a change that can be compared; `heads` is the rows of a head, 0 if unknown."""
    try:
        if needs_matrices(change):
            from ckptscan.diff.weights import weights  # and with it the formulas of all schemes

            return list(weights(change, group, a, b, heads))
        return list(_linked(change, group, a, b, heads))
    except KeyError:  # a name that its family does not spell as it stands in the file
        return [
            Linked(indices, None, "its names can't be told apart")
            for indices in whole_of(change).region
        ]


def _linked(change: Change, group: int, a: Rows, b: Rows, heads: int) -> Iterator[Linked]:
    if is_composed(change):
        yield from _composed(change, group, a, b)
        return
    one, two = change.a[0], change.b[0]
    for indices, row, other in zip(one.region, a.of(one), b.of(two), strict=True):
        yield _one(change, group, (a, row), (b, other), indices, heads)


def reason_of(change: Change, a: TensorTable, b: TensorTable) -> str:
    """Why no tensor of a change can be compared, empty where some can."""
    return _unnamed(change, a, b) or ("" if needs_matrices(change) else _unlike(change))


def needs_matrices(change: Change) -> bool:
    """Whether elements of both sides lie in other orders, or are codes."""
    if change.fact(REQUANTIZED):
        return True
    parts = (*change.a, *change.b)
    dtypes = {part.unit.family.dtype.name for part in parts}
    if any(part.unit.copies > 1 for part in parts) or (len(dtypes) > 1 and "F4" in dtypes):
        return True
    if is_composed(change):
        return is_turned(change) and len(parts) > 2
    return is_turned(change) and change.a[0].unit.family.kind.nbytes > LARGE


def _unnamed(change: Change, a: TensorTable, b: TensorTable) -> str:
    """Why names do not tell the tensors of a change; parts of one tensor share theirs."""
    for table, parts in ((a, change.a), (b, change.b)):
        repeat = [part for part in parts if part.unit.family.component in table.repeating]
        if any(part.unit.copies == 1 for part in repeat):
            return "one name stands in several files"
    return ""


def _unlike(change: Change) -> str:
    """Why elements of both sides are no pairs as they lie."""
    fact = change.fact(RESHAPED)
    if fact and fact.how != "vocabulary":
        return "other shapes"
    for one in change.a:
        for two in change.b:
            if one.unit.family.dtype.bits is None or not can_cast(
                one.unit.family.dtype.name, two.unit.family.dtype.name
            ):
                return "dtypes that are not compared"
    return ""


def _one(
    change: Change,
    group: int,
    ours: tuple[Rows, int],
    theirs: tuple[Rows, int],
    indices: tuple[int, ...],
    heads: int,
) -> Linked:
    """The pair of two tensors."""
    reason = ours[0].fault(ours[1]) or theirs[0].fault(theirs[1])
    if reason:
        return Linked(indices, None, reason)
    one, two = change.a[0].unit.family, change.b[0].unit.family
    shape, other = one.shape, two.shape
    has_other_order = shape != other and not change.fact(RESHAPED)
    if has_other_order and not is_turned(change):
        return Linked(indices, None, "other shapes")
    role = change.a[0].unit.role.name
    elements = min(prod(shape), prod(other))
    runs = _runs(one, two, (ours[1], theirs[1]), (0, 0, elements), has_other_order, role in _TABLES)
    is_matrix = len(shape) == 2 and not has_other_order
    rows = rows_of_head(change, shape[0], heads) if is_matrix else 0
    doubt = has_other_order or not change.evidence.is_sure
    doubt |= bool(rows) and not is_named(change)
    is_square = len(shape) == 2 and shape[0] == shape[1] > 1 and shape == other
    return Linked(indices, Pair(tuple(runs), group, doubt, rows, is_square))


def _runs(
    one: Family,
    two: Family,
    rows: tuple[int, int],
    place: tuple[int, int, int],
    is_turned: bool = False,
    is_table: bool = False,
) -> Iterator[Run]:
    """Elements of two tensors from `place`: where in either, and how many; turned by matrix."""
    names = one.dtype.name, two.dtype.name
    bits = [family.dtype.bits or 8 for family in (one, two)]
    a_start, b_start, units = place
    columns = one.shape[-1] if one.shape else 1
    if bits[0] % 8 or bits[1] % 8:
        a_start, b_start, units, columns = (
            number * bits[0] // 8 for number in (a_start, b_start, units, columns)
        )
        bits = [8, 8]
    widths = bits[0] // 8, bits[1] // 8
    each = prod(one.shape[-2:]) if is_turned else units
    for start in range(0, units, max(1, each)):
        yield Run(
            *rows,
            a_start + start,
            b_start + start,
            min(each, units - start),
            max(1, columns),
            names,
            widths,
            is_turned,
            is_table,
        )


def _composed(change: Change, group: int, a: Rows, b: Rows) -> Iterator[Linked]:
    """The pairs of a fused tensor and its parts, which lie in it one after the other."""
    is_fused_in_b = is_joined(change)
    (whole,), parts = (change.b, change.a) if is_fused_in_b else (change.a, change.b)
    ours, theirs = (b, a) if is_fused_in_b else (a, b)
    has_other_order = is_turned(change)
    by_place = [_by_place(theirs, part, whole.region.arity) for part in parts]
    for indices, row in zip(whole.region, ours.of(whole), strict=True):
        held = [places.get(indices, []) for places in by_place]
        pieces = [
            (part.unit.family, found[number])
            for number in range(max(map(len, held)))
            for part, found in zip(parts, held, strict=True)
            if number < len(found)
        ]
        yield _joined(
            indices,
            group,
            (ours, whole.unit.family, row),
            (theirs, pieces),
            is_fused_in_b,
            has_other_order,
        )


def _by_place(rows: Rows, part: Part, arity: int) -> dict[tuple[int, ...], list[int]]:
    """The rows of a part by the first indices of their tuples, in order."""
    found: dict[tuple[int, ...], list[int]] = {}
    for indices, row in zip(part.region, rows.of(part), strict=True):
        found.setdefault(indices[:arity], []).append(row)
    return found


def _joined(
    indices: tuple[int, ...],
    group: int,
    whole: tuple[Rows, Family, int],
    parts: tuple[Rows, Sequence[tuple[Family, int]]],
    is_fused_in_b: bool,
    is_turned: bool,
) -> Linked:
    """The pair of one fused tensor."""
    held, fused, row = whole
    rows, pieces = parts
    if prod(fused.shape) != sum(prod(family.shape) for family, _ in pieces):
        return Linked(indices, None, "its parts are not as large as the whole")
    reason = held.fault(row) or next(filter(None, (rows.fault(one) for _, one in pieces)), "")
    if reason:
        return Linked(indices, None, reason)
    runs: list[Run] = []
    reached = 0
    for family, one in pieces:
        elements = prod(family.shape)
        if is_fused_in_b:
            runs += _runs(family, fused, (one, row), (0, reached, elements), is_turned)
        else:
            runs += _runs(fused, family, (row, one), (reached, 0, elements), is_turned)
        reached += elements
    return Linked(indices, Pair(tuple(runs), group, doubt=True))
