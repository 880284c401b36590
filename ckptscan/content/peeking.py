"""A few bytes that answer much: small scales, halves of adapters, heads, what follows the last.

At most MOST_READS ranges of PIECE bytes are read, wherever the checkpoint lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from ckptscan.checkpoint import Checkpoint
from ckptscan.content.blocks import faults_of
from ckptscan.content.formats import LAYOUTS
from ckptscan.content.measuring import Room, measure, together
from ckptscan.content.tables import TABLES
from ckptscan.content.values import Content, Statistics
from ckptscan.header import LENGTH
from ckptscan.sources import Range, Source, Timed, read_ranges
from ckptscan.structure import Family, Structure
from ckptscan.table import Tensor

PIECE = 4096  # bytes
MOST_READS = 768  # 3 MiB in all
SHARE = 256  # of these for the tensors of one role
SAID = "the first bytes of some tensors"


def peek_content(source: Source, structure: Structure) -> Content:
    """What a few bytes of a few tensors tell, and what follows the last tensor of each file.

    Read are small scales and the first bytes of `lora_B`, spread over all layers, and the same
    rows of an output head and the embedding. Raises SourceError.
    """
    checkpoint = structure.checkpoint
    if checkpoint.origin.packed:
        return Content(sampled=SAID, limited=True)
    if isinstance(source, Timed):
        source.renew()
    faulty: dict[int, str] = {}
    for shard in checkpoint.table.shards:
        faulty.update(faults_of(checkpoint.table, shard))
    rows = [row for row in dict.fromkeys(_chosen(structure)) if row not in faulty][:MOST_READS]
    whose: dict[Range, list[int]] = {}
    for row in rows:
        for one in _ranges(checkpoint, checkpoint.table[row]):
            whose.setdefault(one, []).append(row)
    read: dict[int, dict[int, bytes]] = {}
    for one, raw in read_ranges(source, list(whose)):
        for row in whose[one]:
            read.setdefault(row, {})[one.start] = raw if len(raw) == one.length else b""
    found = {row: _measured(checkpoint.table[row], parts) for row, parts in sorted(read.items())}
    return Content(
        {row: one for row, one in found.items() if one is not None},
        alike=_alike_heads(structure, found),
        trailing=trailing(source, checkpoint),
        sampled=SAID,
        limited=True,
        bytes_read=sum(len(raw) for parts in read.values() for raw in parts.values()),
    )


def trailing(source: Source, checkpoint: Checkpoint) -> dict[str, bool]:
    """Of files with bytes after their last tensor, whether those that are read are all zero."""
    found: dict[str, bool] = {}
    for path, fault in checkpoint.faults:
        if fault.kind == "trailing-bytes" and fault.byte is not None:
            size = next(s.file_size for s in checkpoint.table.shards if s.path == path)
            ends = {fault.byte, max(fault.byte, size - PIECE)}
            raw = [source.read(path, at, min(PIECE, size - at)) for at in sorted(ends)]
            found[path] = not any(map(any, raw))
            if len(found) == SHARE:
                break
    return found


def _chosen(structure: Structure) -> Iterator[int]:
    """The rows that are worth a look."""
    by_role: dict[str, list[int]] = {}
    for family in structure.families:
        role = structure.role(family)
        if _is_looked_at(family, role):
            by_role.setdefault(role, []).extend(family.rows)
    for rows in by_role.values():
        yield from _spread(sorted(rows), SHARE)


def _is_looked_at(family: Family, role: str) -> bool:
    if family.dtype.name not in LAYOUTS or family.dtype.bits == 6:
        return False
    if role == "quantization":
        return family.kind.nbytes <= PIECE
    return role == "lora.b" or (role in TABLES and len(family.shape) == 2)


def _spread(rows: list[int], most: int) -> list[int]:
    """At most so many of them, evenly, with the first and the last."""
    if len(rows) <= most:
        return rows
    return [rows[number * (len(rows) - 1) // (most - 1)] for number in range(most)]


def _ranges(checkpoint: Checkpoint, tensor: Tensor) -> Iterator[Range]:
    """The beginning of a tensor; of a table also its middle and end."""
    shard = checkpoint.table.shards[tensor.shard]
    data, most = LENGTH + shard.header_size + tensor.start, min(PIECE, tensor.nbytes)
    starts = {0}
    if len(tensor.shape) == 2 and tensor.nbytes > 4 * PIECE:
        starts |= {tensor.nbytes // 2 // PIECE * PIECE, (tensor.nbytes - PIECE) // 8 * 8}
    for start in sorted(starts):
        yield Range(shard.path, data + start, most)


def _measured(tensor: Tensor, parts: Mapping[int, bytes]) -> Statistics | None:
    import numpy as np

    raw = [parts[start] for start in sorted(parts)]
    if not all(raw):
        return None
    room, dtype = Room(PIECE), tensor.dtype.name
    found = [measure(dtype, np.frombuffer(part, "u1"), 0, room)[0] for part in raw]
    fingerprint = sha256(b"".join(raw)).hexdigest()[:32]
    return Statistics(tensor.numel, *together(found), fingerprint=fingerprint)


def _alike_heads(
    structure: Structure, found: Mapping[int, Statistics | None]
) -> tuple[tuple[int, ...], ...]:
    """Heads and embeddings that hold the same, as far as they were read."""
    groups: dict[tuple[object, str], list[int]] = {}
    for row in _tables(structure):
        one = found.get(row)
        if one is not None and not one.is_constant:
            kind = structure.checkpoint.table[row]
            groups.setdefault(((kind.dtype, kind.shape), one.fingerprint), []).append(row)
    return tuple(tuple(rows) for rows in groups.values() if len(rows) > 1)


def _tables(structure: Structure) -> Iterable[int]:
    for family in structure.families:
        if structure.role(family) in TABLES:
            yield from family.rows
