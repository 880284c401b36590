"""Changes -> pairs of matrices, where elements do not lie in one order on both sides.

Weights that are packed in another way, tensor-parallel parts, matrices that were turned and joined
at once, or turned and large.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from ckptscan.content.dequantize import NoFormula
from ckptscan.content.matrices import Above, Beside, Matrix, Stored, Turned, packed
from ckptscan.content.pairs.values import Weights
from ckptscan.diff.facts import is_turned
from ckptscan.diff.rows import Linked, Rows, is_named, rows_of_head, whole_of
from ckptscan.diff.values import RESHAPED, Change
from ckptscan.structure.match import Part, Unit
from ckptscan.structure.match.regions import Indices

_DTYPES = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F4"})


class _Reason(Exception):
    """Why a weight can't be compared, in words."""


def weights(change: Change, group: int, a: Rows, b: Rows, heads: int) -> Iterator[Linked]:
    """The pairs of a change that has two sides; `heads` is the rows of a head, 0 if unknown."""
    for indices, ours, theirs in _together(change, a, b):
        yield _linked(change, group, indices, (a, ours), (b, theirs), heads)


def _linked(
    change: Change,
    group: int,
    indices: Indices,
    ours: _Side,
    theirs: _Side,
    heads: int,
) -> Linked:
    """The pair of one weight, or why there is none."""
    try:
        return Linked(indices, _pair(change, group, ours, theirs, heads))
    except _Reason as reason:
        return Linked(indices, None, str(reason))


# the rows of each tensor of each part, those of all tensor-parallel copies together
_Tensors = list[tuple[Part, list[list[int]]]]
_Side = tuple[Rows, _Tensors]


def _together(change: Change, a: Rows, b: Rows) -> Iterator[tuple[Indices, _Tensors, _Tensors]]:
    """For each tensor that is told as one its indices, and what holds it on either side."""
    region = whole_of(change).region
    sides = [
        [(part, _by_place(rows, part, region.arity)) for part in parts]
        for rows, parts in ((a, change.a), (b, change.b))
    ]
    for indices in region:
        ours, theirs = ([(part, held.get(indices, [])) for part, held in side] for side in sides)
        yield indices, ours, theirs


def _by_place(rows: Rows, part: Part, arity: int) -> Mapping[Indices, list[list[int]]]:
    """The rows of a part's tensors by the first indices of their tuples, in order."""
    found: dict[Indices, list[list[int]]] = {}
    for indices, copies in zip(part.region, rows.copies_of(part), strict=True):
        found.setdefault(indices[:arity], []).append(copies)
    return found


def _pair(change: Change, group: int, ours: _Side, theirs: _Side, heads: int) -> Weights:
    """Both sides as matrices of the same shapes."""
    one, two = change.a[0].unit, change.b[0].unit
    fact = change.fact(RESHAPED)
    if fact:
        raise _Reason("other shapes")
    a, b = _matrices(*ours, two), _matrices(*theirs, one)
    if is_turned(change):
        b = [Turned(matrix) for matrix in b]
    a, b = _as_many(a, b)
    if [matrix.shape for matrix in a] != [matrix.shape for matrix in b]:
        raise _Reason("other shapes")
    rows = 0 if is_named(change) else rows_of_head(change, a[0].shape[0], heads)
    nbytes = sum(rows_.nbytes_of(tensors) for rows_, tensors in (ours, theirs))
    return Weights(a, b, group, nbytes, not change.evidence.is_sure, rows)


def _as_many(a: list[Matrix], b: list[Matrix]) -> tuple[list[Matrix], list[Matrix]]:
    """A tensor that each tensor-parallel part holds whole is held against every copy."""
    if len(a) == 1 < len(b):
        return a * len(b), b
    return (a, b * len(a)) if len(b) == 1 < len(a) else (a, b)


def _matrices(rows: Rows, tensors: _Tensors, other: Unit) -> list[Matrix]:
    """The matrices of one side: joined parts one above the other, those of a stack in turn."""
    if not tensors or any(not held for _, held in tensors):
        raise _Reason("its parts can't be told apart")
    if len(tensors) == 1 and len(tensors[0][1]) == 1:
        ((part, (copies,)),) = tensors
        return _of_unit(rows, part.unit, copies, other)
    stacks = [
        [matrix for copies in held for matrix in _of_unit(rows, part.unit, copies, None)]
        for part, held in tensors
    ]
    if len({len(stack) for stack in stacks}) != 1:
        raise _Reason("its parts can't be told apart")
    return [Above(some) if len(some) > 1 else some[0] for some in zip(*stacks, strict=True)]


def _of_unit(rows: Rows, unit: Unit, copies: Sequence[int], other: Unit | None) -> list[Matrix]:
    """The matrices of one tensor, stored in one piece or in tensor-parallel parts."""
    for row in copies:
        if rows.fault(row):
            raise _Reason(rows.fault(row))
    if unit.packing is not None:
        if len(copies) > 1:
            raise _Reason("packed tensor-parallel parts are not joined")
        return _packed(rows, unit, copies[0], other)
    stacks = [_stored(unit, row) for row in copies]
    if len(stacks) == 1:
        return stacks[0]
    shape, logical = unit.family.shape, unit.shape or ()
    unlike = [place for place, size in enumerate(shape) if logical[place : place + 1] != (size,)]
    if not unlike:
        return [matrix for stack in stacks for matrix in stack]
    if len(unlike) > 1 or unlike[0] < len(shape) - 2:
        raise _Reason("which side of its parts was cut is not known")
    join = Above if unlike[0] == len(shape) - 2 else Beside
    return [join(some) for some in zip(*stacks, strict=True)]


def _stored(unit: Unit, row: int) -> list[Matrix]:
    """The matrices of a plain tensor; a vector is a matrix of one row."""
    shape, dtype = unit.family.shape, unit.family.dtype
    if dtype.name not in _DTYPES or not dtype.bits or not prod(shape):
        raise _Reason("dtypes that are not compared")
    high, wide = (1, 1, *shape)[-2:]
    if wide * dtype.bits % 8:
        raise _Reason("dtypes that are not compared")
    nbytes = high * wide * dtype.bits // 8
    count = prod(shape) // (high * wide)
    return [Stored(row, (high, wide), dtype.name, number * nbytes) for number in range(count)]


def _packed(rows: Rows, unit: Unit, row: int, other: Unit | None) -> list[Matrix]:
    """The matrices of a packed weight, with its books."""
    shape = unit.shape or (other.shape if other is not None and other.each == unit.each else None)
    found = rows.packed.at(row)
    if found is None:
        raise _Reason("its packing is not understood")
    for one in found.rows.values():
        if rows.fault(one):
            raise _Reason(rows.fault(one))
    stored = found.stored._replace(packing=found.stored.packing._replace(shape=shape))
    try:
        return packed(found._replace(stored=stored))
    except NoFormula as none:
        raise _Reason(str(none)) from none
