"""A source -> its lock. Reads headers once, and the small files that a loader reads beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from ckptscan.checkpoint import Checkpoint, load
from ckptscan.config import AUDITED, MAX_CONFIG
from ckptscan.errors import SourceError
from ckptscan.lock.values import Block, Kind, Lock, SideFile, WeightFile
from ckptscan.names import IndexSet, escape, is_index, natural_key
from ckptscan.sets import OTHER_WEIGHTS, SUFFIX
from ckptscan.sources import Fetching, FileEntry, Job, Source
from ckptscan.table import Shard, TensorTable

# endings of what loaders read beside weights: configs, tokenizers, templates, code
READ = (".json", ".jinja", ".py", ".txt", ".model", ".tiktoken", ".yaml", ".yml", ".bpe", ".vocab")
_LISTED = (*READ, SUFFIX, *OTHER_WEIGHTS)
MAX_SIDES = 500  # side files that are read; of others the size is compared
MAX_STARS = 8  # of a pattern; further indices are part of it


class Headers:
    """The sha256 of each header, noted as it is read."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def note(self, path: str, head: bytes) -> None:
        """Note the beginning of a weight file up to its header's end."""
        self.found[path] = hashlib.sha256(head).hexdigest()


def open_for_lock(
    source: Source, set_name: str | None = None, all_sets: bool = False
) -> tuple[Checkpoint, Lock]:
    """The checkpoint in a source, and its lock; raises SourceError and UsageError as `load`."""
    headers = Headers()
    checkpoint = load(source, set_name, all_sets, AUDITED, headers.note)
    return checkpoint, lock_of(source, checkpoint, headers.found)


def lock_of(source: Source, checkpoint: Checkpoint, headers: Mapping[str, str]) -> Lock:
    """The lock of a checkpoint; `headers` has the sha256 of each weight file's header."""
    table, origin = checkpoint.table, checkpoint.origin
    kinds: dict[Kind, int] = {}
    files = []
    for shard in sorted(table.shards, key=lambda one: natural_key(one.path)):
        blocks = tuple(_blocks(table, shard, kinds))
        header = headers.get(shard.path, "")
        files.append(WeightFile(shard.path, shard.file_size, header, shard.digest, blocks))
    weights = {shard.path for shard in table.shards}
    others = [one for one in checkpoint.files if one.path not in weights and _is_listed(one)]
    sides = sorted(_sides(source, others), key=lambda one: natural_key(one.path))
    kind = origin.packed or origin.kind
    return Lock(origin.title, kind, origin.commit, tuple(kinds), tuple(files), tuple(sides))


def _is_listed(entry: FileEntry) -> bool:
    return entry.path.lower().endswith(_LISTED)


def _sides(source: Source, others: Sequence[FileEntry]) -> Iterator[SideFile]:
    """Files beside the weights; of those that a loader reads the sha256, where it can be had."""
    unread = [one for one in others if one.digest is None and _is_read(one)][:MAX_SIDES]
    if isinstance(source, Fetching):
        for _ in source.fetch([Job(one.path, "whole", MAX_CONFIG) for one in unread]):
            pass
    wanted = {one.path for one in unread}
    for one in others:
        digest = _sha256(source, one) if one.path in wanted else one.digest
        yield SideFile(one.path, one.size, digest)


def _is_read(entry: FileEntry) -> bool:
    is_small = entry.size <= MAX_CONFIG and not entry.problem
    return is_small and entry.path.lower().endswith(READ)


def _sha256(source: Source, entry: FileEntry) -> str | None:
    """The sha256 of a small file; None for what a pack lists and does not hold."""
    try:
        return hashlib.sha256(source.read(entry.path, 0, entry.size)).hexdigest()
    except SourceError:
        if source.origin.packed is None:
            raise
        return None


def _blocks(table: TensorTable, shard: Shard, kinds: dict[Kind, int]) -> Iterator[Block]:
    """The tensors of a file as products of indices, in the order of its header's first ones."""
    alike: dict[tuple[str, int], list[tuple[int, ...]]] = {}
    for row in shard.rows:
        pattern, indices = split(table.names[row])
        alike.setdefault((pattern, table.codes[row]), []).append(indices)
    for (pattern, code), found in alike.items():
        stored = table.kinds[code]
        kind = Kind(pattern, stored.dtype.name, stored.shape)
        number = kinds.setdefault(kind, len(kinds))
        for axes in products(sorted(set(found))):
            yield Block(number, axes)


def split(name: str) -> tuple[str, tuple[int, ...]]:
    """A name as its pattern and indices, from which it can be made again; `07` is no index."""
    pieces: list[str] = []
    indices: list[int] = []
    for segment in name.split("."):
        is_plain = is_index(segment) and (segment[0] != "0" or len(segment) == 1)
        if is_plain and len(indices) < MAX_STARS:
            pieces.append("*")
            indices.append(int(segment))
        else:
            pieces.append(escape(segment))
    return ".".join(pieces), tuple(indices)


def products(tuples: Sequence[tuple[int, ...]]) -> list[tuple[IndexSet, ...]]:
    """Sorted index tuples as few full products; recursion goes as deep as a pattern has stars."""
    if not tuples[0]:
        return [()]
    if len(tuples[0]) == 1:
        return [(IndexSet.of(first for (first,) in tuples),)]
    tails: dict[int, list[tuple[int, ...]]] = {}
    for first, *rest in tuples:
        tails.setdefault(first, []).append(tuple(rest))
    alike: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for first, below in tails.items():
        alike.setdefault(tuple(below), []).append(first)
    return [
        (IndexSet.of(firsts), *rest) for below, firsts in alike.items() for rest in products(below)
    ]
