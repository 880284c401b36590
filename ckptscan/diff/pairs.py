"""Changes -> pairs of tensors whose elements should be the same, as runs of elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from ckptscan.content.blocks import LARGEST, TOO_LARGE, faults_of
from ckptscan.content.pairs.bits import can_cast
from ckptscan.content.pairs.values import Pair, Run
from ckptscan.diff.values import REQUANTIZED, RESHAPED, Change
from ckptscan.structure import Structure
from ckptscan.structure.families import Family
from ckptscan.structure.match import Part
from ckptscan.structure.match.rows import rows_of
from ckptscan.table import TensorTable

_TABLES = frozenset({"embedding", "lm_head"})
_HEADS = frozenset({"q", "k"})
_NAMED = frozenset({"name", "layers"})
_HEAD = 128  # rows of a head where nothing tells


class Rows:
    """The rows of one side's table by the names of families."""

    def __init__(self, structure: Structure) -> None:
        self.table = structure.checkpoint.table
        refused = {file for file, fault in structure.checkpoint.faults if fault.error}
        self._sound = [shard.path not in refused for shard in self.table.shards]
        self._faults: dict[int, dict[int, str]] = {}

    def of(self, part: Part) -> list[int]:
        """The rows of a part, in the order of its region."""
        return rows_of(self.table.names, part)

    def fault(self, row: int) -> str:
        """Why a row can't be read, empty where it can or has no elements."""
        number = self.table.shard_of(row)
        if self._sound[number]:  # the reference proves layout and sizes
            return "" if self.table[row].nbytes <= LARGEST else TOO_LARGE
        if number not in self._faults:
            self._faults[number] = faults_of(self.table, self.table.shards[number])
        reason = self._faults[number].get(row, "")
        is_empty = bool(reason) and self.table[row].numel == 0 and not self.table[row].nbytes
        return "" if is_empty else reason


class Linked(NamedTuple):
    """One tensor of a change, or one that was joined or split: its place in A's region.

    `pair` is None where it can't be compared, for a `reason`.
    """

    indices: tuple[int, ...]
    pair: Pair | None
    reason: str = ""


def linked(change: Change, group: int, a: Rows, b: Rows, heads: int) -> list[Linked]:
    """The pairs of a change that can be compared; `heads` is the rows of a head, 0 if unknown."""
    try:
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


def is_composed(change: Change) -> bool:
    """Whether tensors were joined or split."""
    if len(change.a) > 1 or len(change.b) > 1:
        return True
    return change.a[0].region != change.b[0].region


def is_joined(change: Change) -> bool:
    """Whether several tensors of A make one of B."""
    is_one = len(change.b) == 1
    return is_one and (len(change.a) > 1 or change.b[0].region.arity < change.a[0].region.arity)


def whole_of(change: Change) -> Part:
    """The part of which each tensor is one pair: the fused one, where some were joined or split."""
    return (change.b if is_joined(change) else change.a)[0]


def reason_of(change: Change, a: TensorTable, b: TensorTable) -> str:
    """Why no tensor of a change can be compared, empty where some can."""
    if change.fact(REQUANTIZED):
        return "packed in another way"
    if any(part.unit.copies > 1 for part in (*change.a, *change.b)):
        return "tensor-parallel parts are not joined"
    for table, parts in ((a, change.a), (b, change.b)):
        if any(part.unit.family.component in table.repeating for part in parts):
            return "one name stands in several files"
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
    is_turned = shape != other and not change.fact(RESHAPED)
    is_named = _is_turned(change) or not is_turned
    if is_turned and not is_named:
        return Linked(indices, None, "other shapes")
    role = change.a[0].unit.role.name
    elements = min(prod(shape), prod(other))
    runs = _runs(one, two, (ours[1], theirs[1]), (0, 0, elements), is_turned, role in _TABLES)
    rows = 0
    if role in _HEADS and len(shape) == 2 and not is_turned and shape[0]:
        rows = heads if heads and shape[0] % heads == 0 else min(shape[0], _HEAD)
    doubt = is_turned or not change.evidence.is_sure
    doubt |= bool(rows) and change.evidence.how not in _NAMED
    is_square = len(shape) == 2 and shape[0] == shape[1] > 1 and shape == other
    return Linked(indices, Pair(tuple(runs), group, doubt, rows, is_square))


def _is_turned(change: Change) -> bool:
    return any(fact.how == "transposed" for fact in change.facts)


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
    is_turned = any("transposed" in fact.how for fact in change.facts)
    by_place = [_by_place(theirs, part, whole.region.arity) for part in parts]
    for indices, row in zip(whole.region, ours.of(whole), strict=True):
        held = [places.get(indices, []) for places in by_place]
        if is_turned and len(parts) > 1:
            yield Linked(indices, None, "joined and turned at once")
            continue
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
            is_turned,
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
