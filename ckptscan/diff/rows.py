"""The rows of the tables that a change speaks of, and what can't be read of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.blocks import LARGEST, TOO_LARGE, faults_of
from ckptscan.content.pairs.values import Pair, Weights
from ckptscan.diff.values import Change
from ckptscan.structure import Structure
from ckptscan.structure.match import Part
from ckptscan.structure.match.regions import Indices
from ckptscan.structure.match.rows import rows_of

if TYPE_CHECKING:
    from ckptscan.content.dequantize import PackedWeights

_HEADS = frozenset({"q", "k"})
_NAMED = frozenset({"name", "layers"})
_HEAD = 128  # rows of a head where nothing tells


class Linked(NamedTuple):
    """One tensor of a change, or one that was joined or split: its place in A's region.

    `pair` is None where it can't be compared, for a `reason`; else that is why other elements may
    prove nothing.
    """

    indices: Indices
    pair: Pair | Weights | None
    reason: str = ""


class Rows:
    """The rows of one side's table by the names of families."""

    def __init__(self, structure: Structure) -> None:
        self.table = structure.checkpoint.table
        self._structure = structure
        refused = {file for file, fault in structure.checkpoint.faults if fault.error}
        self._sound = [shard.path not in refused for shard in self.table.shards]
        self._faults: dict[int, dict[int, str]] = {}

    def of(self, part: Part) -> list[int]:
        """The rows of a part, in the order of its region."""
        return rows_of(self.table.names, part)

    def copies_of(self, part: Part) -> list[list[int]]:
        """The rows of each name of a part, in the order of its region and of the files."""
        held: dict[str, list[int]] = {}
        for row in sorted(part.unit.family.rows):
            held.setdefault(self.table.names[row], []).append(row)
        return [held[name] for name in part.names()]

    def nbytes_of(self, tensors: Iterable[tuple[Part, Sequence[Sequence[int]]]]) -> int:
        """Bytes of these tensors, with the books of packed ones."""
        return sum(self._nbytes(row) for _, held in tensors for copies in held for row in copies)

    def size_of(self, part: Part) -> int:
        """Bytes of a part's tensors with their books, which are as large for each."""
        return part.tensors * self._nbytes(part.unit.family.rows[0])

    @cached_property
    def packed(self) -> PackedWeights:
        """The packed weights, each with its books."""
        from ckptscan.content.dequantize import PackedWeights

        return PackedWeights(self._structure)

    def _nbytes(self, row: int) -> int:
        """Bytes of a tensor, with its books."""
        found = self.packed.at(row)
        held = (row,) if found is None else found.rows.values()
        return sum(self.table[one].nbytes for one in held)

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


def is_named(change: Change) -> bool:
    """Whether names alone tell which tensor became which: by others rows may be permuted."""
    return change.evidence.how in _NAMED


def rows_of_head(change: Change, out: int, heads: int) -> int:
    """How many of the rows of q or k are one head, 0 for other weights; `heads` where known."""
    if change.a[0].unit.role.name not in _HEADS or not out:
        return 0
    return heads if heads and out % heads == 0 else min(out, _HEAD)
