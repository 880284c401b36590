"""What proves tensors equal without reading one of their bytes, and where tensors lie.

Equal digests of two files, or one stored file on both sides, prove all tensors in it equal. That a
proof is missing proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from ckptscan.checkpoint import Checkpoint
from ckptscan.diff.values import IDENTICAL, UNPROVED
from ckptscan.names import split_stars, unescape
from ckptscan.structure.match import Part, Region
from ckptscan.table import Shard, TensorTable

# sources whose address alone tells the file: one listing, read twice
_ADDRESSED = frozenset({"pack", "hub", "modelscope", "http", "s3", "gs", "az"})
_REPOSITORIES = frozenset({"hub", "hf-cache"})


class Proofs:
    """Two checkpoints side by side: which rows of A lie in files that are proved equal."""

    def __init__(self, a: Checkpoint, b: Checkpoint) -> None:
        self._a, self._b = a, b

    @cached_property
    def same_files(self) -> frozenset[int]:
        """Numbers of A's shards that B has too, byte for byte."""
        shards = self._a.table.shards
        if self._a is self._b:
            return frozenset(range(len(shards)))
        theirs = {key for shard in self._b.table.shards for key in _keys(self._b, shard)}
        ours = ((number, _keys(self._a, shard)) for number, shard in enumerate(shards))
        return frozenset(number for number, keys in ours if any(key in theirs for key in keys))

    @property
    def are_files_equal(self) -> bool:
        """Whether every weight file of both sides is proved to be one of the other's."""
        counts = [len(side.table.shards) for side in (self._a, self._b)]
        return len(self.same_files) == counts[0] == counts[1]

    def split(self, one: Part, two: Part) -> Iterator[tuple[Part, Part, str, bool]]:
        """Parts of two equally named ones with the state of their content, and whether moved."""
        rows = self._rows(one)
        labels = [(self._proved[row], self._moved[row]) for row in rows]
        kinds = sorted(set(labels), key=labels.count)
        rest = one.region
        for kind in kinds[:-1]:
            some = [row for row, label in zip(rows, labels, strict=True) if label == kind]
            held = _indices(one, [self._a.table.names[row] for row in some])
            region = Region.of(held, one.region.arity)
            rest = rest.minus(region)
            yield one._replace(region=region), two._replace(region=region), *_label(kind)
        if kinds:
            yield one._replace(region=rest), two._replace(region=rest), *_label(kinds[-1])

    def _rows(self, part: Part) -> Sequence[int]:
        """The rows of A's table that a part holds, in no order that matters."""
        family = part.unit.family
        if part.tensors == family.count:
            return family.rows
        wanted = part.own
        names = self._a.table.names
        found = zip(_indices(part, [names[row] for row in family.rows]), family.rows, strict=True)
        members = frozenset(wanted)
        return [row for indices, row in found if indices in members]

    @cached_property
    def _proved(self) -> bytearray:
        """For each row of A whether its file is proved equal."""
        table = self._a.table
        flags = bytearray(len(table))
        is_odd = table.repeating or self._b.table.repeating
        if is_odd and not self.are_files_equal:
            return flags  # one name in several files: which is which is not proved
        for number in self.same_files:
            rows = table.shards[number].rows
            flags[rows.start : rows.stop] = b"\1" * len(rows)
        return flags

    @cached_property
    def _moved(self) -> bytearray:
        """For each row of A whether the tensor of that name lies in a file of another name in B."""
        ours, theirs = self._a.table, self._b.table
        flags = bytearray(len(ours))
        if ours is theirs or ours.repeating or theirs.repeating:
            return flags
        if _layout(ours) == _layout(theirs) and list(ours.names) == list(theirs.names):
            return flags
        homes = _homes(theirs)
        for component, path, rows in _places(ours):
            held = homes.get(component, {})
            for row in rows:
                flags[row] = held.get(ours.names[row], path) != path
        return flags


def _label(kind: tuple[int, int]) -> tuple[str, bool]:
    return (IDENTICAL if kind[0] else UNPROVED), bool(kind[1])


def _keys(checkpoint: Checkpoint, shard: Shard) -> list[tuple[object, ...]]:
    """What a file has in common with every file that is the same."""
    origin, size = checkpoint.origin, shard.file_size
    keys: list[tuple[object, ...]] = []
    if shard.digest:
        keys.append(("sha256", shard.digest, size))
    identity = _identities(checkpoint).get(shard.path)
    if identity:
        keys.append(("file", identity, size))
    if origin.commit and origin.kind in _REPOSITORIES:
        keys.append(("commit", origin.title, origin.commit, shard.path, size))
    if origin.kind in _ADDRESSED:
        address = (origin.spec, origin.revision, origin.commit)
        keys.append(("address", origin.kind, *address, shard.path, size))
    return keys


def _identities(checkpoint: Checkpoint) -> Mapping[str, str | None]:
    return {entry.path: entry.identity for entry in checkpoint.files}


def _places(table: TensorTable) -> Iterator[tuple[str, str, range]]:
    """Component, path below the folder of all weight files, and rows of each shard."""
    folder = _folder([shard.path for shard in table.shards])
    for shard in table.shards:
        yield shard.component, shard.path[len(folder) :], shard.rows


def _folder(paths: Sequence[str]) -> str:
    """The folder that all paths lie in, with its slash; empty for none."""
    folders = {path.rpartition("/")[0] for path in paths}
    return f"{folder}/" if len(folders) == 1 and (folder := folders.pop()) else ""


def _layout(table: TensorTable) -> list[tuple[str, str, int]]:
    return [(component, path, len(rows)) for component, path, rows in _places(table)]


def _homes(table: TensorTable) -> dict[str, dict[str, str]]:
    """For each component the file of each name."""
    homes: dict[str, dict[str, str]] = {}
    for component, path, rows in _places(table):
        names = table.names[rows.start : rows.stop]
        homes.setdefault(component, {}).update(dict.fromkeys(names, path))
    return homes


def _indices(part: Part, names: Sequence[str]) -> list[tuple[int, ...]]:
    """The index tuples in names of one family."""
    pieces = map(unescape, split_stars(part.unit.family.pattern))
    pattern = re.compile("([0-9]+)".join(map(re.escape, pieces)), re.DOTALL)
    found = map(pattern.fullmatch, names)
    return [tuple(map(int, one.groups())) if one else () for one in found]
