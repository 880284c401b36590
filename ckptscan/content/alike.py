"""Tensors that hold the same bytes: found by their page sums, proved by reading them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ckptscan.content.blocks import Block, Piece, Sizes, spans
from ckptscan.content.values import Statistics
from ckptscan.header import LENGTH
from ckptscan.table import TensorTable


def candidates(
    table: TensorTable, statistics: Mapping[int, Statistics]
) -> tuple[tuple[int, ...], ...]:
    """Groups of rows of one dtype and size whose pages seem to hold the same; not constant ones."""
    groups: dict[tuple[str, int, str], list[int]] = {}
    for row in sorted(statistics):
        found = statistics[row]
        if not found.is_constant and found.seen:
            tensor = table[row]
            key = (tensor.dtype.name, tensor.nbytes, found.fingerprint)
            groups.setdefault(key, []).append(row)
    return tuple(tuple(rows) for rows in groups.values() if len(rows) > 1)


def confirmed(
    table: TensorTable,
    groups: Iterable[Sequence[int]],
    known: Mapping[int, str],
    sizes: Sizes,
) -> Iterator[Block]:
    """The blocks of the tensors whose digest is wanted and not known yet."""
    for row in unknown(groups, known):
        tensor = table[row]
        shard = table.shards[tensor.shard]
        data = LENGTH + shard.header_size + tensor.start
        for start, length in spans(tensor, sizes, None):
            yield Block(shard.path, data + start, length, (Piece(row, start, length),))


def unknown(groups: Iterable[Sequence[int]], known: Mapping[int, str]) -> list[int]:
    """The rows whose digest is wanted and not known yet."""
    return sorted(row for group in groups for row in group if row not in known)
