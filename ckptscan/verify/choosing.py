"""Which tensors are loaded, and how much of them, so that a few stand for all."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ckptscan.content.blocks import faults_of
from ckptscan.content.tables import TABLES
from ckptscan.errors import UsageError
from ckptscan.structure import Family, Structure
from ckptscan.table import Tensor
from ckptscan.verify.layers import (
    ends_and_another,
    layers_asked_for,
    layers_of_runs,
    names_of,
)
from ckptscan.verify.values import Choice, Pick, Wish

END = 1 << 20  # bytes at each end of a table that stand for its rows
_EMPTY = "it has no elements"  # what faults_of says of such
_NOTHING_IN_IT = "no elements"
_NO_ROOM = "no row fits into what may be read"
_ANCESTORS = 3  # q_proj.weight.quant_state.bitsandbytes__nf4 is a book of q_proj.weight


def choose(structure: Structure, wish: Wish) -> Choice:
    """What is loaded: what the wish names, or what stands for the rest; and its scales.

    By default the first, a middle and the last layer of every run, the first, the last and another
    expert, the ends of tables, and all that lies in no layer. Where that has too many bytes, large
    tensors are loaded in their first rows. Raises UsageError for layers that there are not, for a
    match of no name, and where not one row fits into what may be read.
    """
    rows = _rows(structure, wish)
    if not rows and structure.tensors:
        where = "" if wish.layers is None else " in these layers"
        raise UsageError(f"no name matches{where}", "a glob must match the whole of a name")
    faults: dict[int, str] = {}
    for shard in structure.checkpoint.table.shards:
        faults |= faults_of(structure.checkpoint.table, shard)
    sound = [row for row in rows if row not in faults]
    picks = list(_picks(structure, sound, wish))
    faulty = {row: faults[row] for row in rows if faults.get(row, _EMPTY) != _EMPTY}
    empty = {row: _NOTHING_IN_IT for row in rows if faults.get(row) == _EMPTY}
    choice = Choice(tuple(picks), empty, faulty)
    return choice if wish.limit is None else _limited(structure, choice, wish.limit)


def _rows(structure: Structure, wish: Wish) -> list[int]:
    """The rows that are chosen, in the order of the table."""
    if wish.everything:
        chosen = {row for family in structure.families for row in family.rows}
    elif wish.sample is not None:
        chosen = _sampled(structure, wish, wish.sample)
    else:
        chosen = set(_representative(structure, wish))
    chosen |= set(_books(structure, chosen)) | set(wish.odd)
    return sorted(chosen)


def _representative(structure: Structure, wish: Wish) -> Iterator[int]:
    """The rows that stand for the others, of those that the wish names."""
    if wish.match is not None and wish.layers is None:
        yield from _matching(structure, wish)
        return
    is_strict = wish.layers is not None
    layers = layers_of_runs(structure)
    if wish.layers is not None:
        layers = layers_asked_for(structure, wish.layers)
    names = structure.checkpoint.table.names
    for family in structure.families:
        wanted = set(names_of(family, layers, wish.seed, is_strict))
        yield from (
            row
            for row in family.rows
            if names[row] in wanted and (wish.match is None or wish.match(names[row]))
        )


def _matching(structure: Structure, wish: Wish) -> Iterator[int]:
    names = structure.checkpoint.table.names
    for family in structure.families:
        yield from (row for row in family.rows if wish.match is None or wish.match(names[row]))


def _sampled(structure: Structure, wish: Wish, count: int) -> set[int]:
    """So many rows, drawn from those that the wish names."""
    plain = replace(wish, sample=None)
    rows = list(
        _matching(structure, wish) if wish.layers is None else _representative(structure, plain)
    )
    rows.sort()
    return set(random.Random(wish.seed).sample(rows, min(count, len(rows))))


def _books(structure: Structure, chosen: Iterable[int]) -> Iterator[int]:
    """The scales and other books of quantization that belong to chosen weights."""
    names = structure.checkpoint.table.names
    weights = {names[row] for row in chosen}
    modules = {name.rpartition(".")[0] for name in weights}
    for family in structure.families:
        if structure.role(family) != "quantization":
            continue
        for row in family.rows:
            above = names[row].rpartition(".")[0]
            if above in modules or not weights.isdisjoint(_ancestors(above)):
                yield row


def _ancestors(path: str) -> Iterator[str]:
    for _ in range(_ANCESTORS):
        yield path
        path = path.rpartition(".")[0]


def _picks(structure: Structure, rows: Sequence[int], wish: Wish) -> Iterator[Pick]:
    """What is loaded of these rows, in the order of their bytes."""
    table = structure.checkpoint.table
    families = {row: family for family in structure.families for row in family.rows}
    is_named = wish.everything or wish.match is not None or wish.sample is not None
    for row in sorted(rows, key=lambda row: (table.shard_of(row), table.starts[row])):
        tensor, family = table[row], families.get(row)
        role = structure.role(family) if family is not None else ""
        if is_named or family is None or row in wish.odd:
            yield whole(row, tensor)
        elif role in TABLES:
            yield from _ends(row, tensor)
        elif role.startswith("expert.") and len(tensor.shape) > 2:
            yield from _experts(row, tensor, family, wish.seed)
        else:
            yield whole(row, tensor)


def whole(row: int, tensor: Tensor) -> Pick:
    """All of a tensor."""
    return Pick(row, tensor.shape, 0, tensor.nbytes)


def stretch(row: int, tensor: Tensor, first: int, count: int) -> Pick | None:
    """Some rows of a tensor; None where they do not begin and end with a byte."""
    if tensor.dtype.bits is None:
        return None
    row_bits = tensor.nbytes * 8 // tensor.shape[0]
    if first * row_bits % 8 or count * row_bits % 8:
        return None
    start, nbytes = first * row_bits // 8, count * row_bits // 8
    return Pick(row, (count, *tensor.shape[1:]), start, nbytes, first, is_whole=False)


def _ends(row: int, tensor: Tensor) -> Sequence[Pick]:
    """The first and last rows of a table; all of one that has few."""
    count = max(1, END * tensor.shape[0] // tensor.nbytes) if tensor.shape else 1
    if not tensor.shape or 2 * count >= tensor.shape[0]:
        return [whole(row, tensor)]
    return _stretches(row, tensor, (0, tensor.shape[0] - count), count)


def _experts(row: int, tensor: Tensor, family: Family, seed: int) -> Sequence[Pick]:
    """The first, the last and another of the experts that lie in one tensor."""
    drawn = ends_and_another(range(tensor.shape[0]), f"{seed}:{family.pattern}")
    return _stretches(row, tensor, sorted(drawn), 1)


def _stretches(row: int, tensor: Tensor, firsts: Sequence[int], count: int) -> Sequence[Pick]:
    """Stretches of as many rows; the whole tensor where they are no whole bytes."""
    parts = [stretch(row, tensor, first, count) for first in firsts]
    found = [part for part in parts if part is not None]
    is_less = len(found) == len(parts) and len(parts) * count < tensor.shape[0]
    return found if is_less else [whole(row, tensor)]


def _limited(structure: Structure, choice: Choice, limit: int) -> Choice:
    """The choice within so many bytes: what is larger than its share is cut to its first rows."""
    level = _level([pick.nbytes for pick in choice.picks], limit)
    table = structure.checkpoint.table
    picks: list[Pick] = []
    left_out: dict[int, str] = {}
    for pick in choice.picks:
        cut = pick if pick.nbytes <= level else _cut(table[pick.row], pick, level)
        if cut is None:
            left_out[pick.row] = _NO_ROOM
        else:
            picks.append(cut)
    if choice.picks and not picks:
        raise UsageError(
            f"of {choice.tensors:,} chosen tensors no row fits into {limit:,} bytes",
            "give more with --max-bytes SIZE, or choose fewer with --sample N",
        )
    held = {pick.row for pick in picks}
    left_out = {row: why for row, why in left_out.items() if row not in held}
    return replace(choice, picks=tuple(picks), left_out={**choice.left_out, **left_out})


def _level(sizes: Sequence[int], limit: int) -> int:
    """The most bytes that each may have, so that all together have no more than the limit."""
    left = limit
    for number, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - number)
        if size > share:
            return share
        left -= size
    return limit


def _cut(tensor: Tensor, pick: Pick, level: int) -> Pick | None:
    """The first rows of a pick that have at most so many bytes; None where not one has."""
    if not pick.shape or tensor.dtype.bits is None:
        return None
    count = level * pick.shape[0] // pick.nbytes
    while count:
        part = stretch(pick.row, tensor, pick.first, count)
        if part is not None:
            return part
        count -= 1
    return None
