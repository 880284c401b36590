"""What proves tensors equal without reading one of their bytes, and where tensors lie.

Equal digests of two files, or one stored file on both sides, prove all tensors in it equal. That a
proof is missing proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import compress
from operator import add

from ckptscan.checkpoint import Checkpoint
from ckptscan.diff.values import IDENTICAL, UNPROVED
from ckptscan.names import split_stars, unescape
from ckptscan.sources import Origin
from ckptscan.structure.match import Part, Region
from ckptscan.structure.match.regions import Indices
from ckptscan.table import Shard, TensorTable

# sources whose address alone tells the file: one listing, read twice
_ADDRESSED = frozenset({"pack", "hub", "modelscope", "http", "s3", "gs", "az"})
_REPOSITORIES = frozenset({"hub", "hf-cache"})
_PROVED, _MOVED = 1, 2  # of a row
MOST_PRODUCTS = 64  # parts of one change whose indices are no product
_Keys = frozenset[tuple[object, ...]]


class Proofs:
    """Two checkpoints side by side: which rows of A lie in files that are proved equal."""

    def __init__(self, a: Checkpoint, b: Checkpoint) -> None:
        self._a, self._b = a, b

    @cached_property
    def same_files(self) -> frozenset[int]:
        """Numbers of A's shards that B has too, byte for byte."""
        known = frozenset().union(*self._keys_of_b)
        return frozenset(number for number, keys in enumerate(self._keys_of_a) if keys & known)

    @property
    def are_files_equal(self) -> bool:
        """Whether every weight file of either side is proved to be one of the other's."""
        known = frozenset().union(*self._keys_of_a)
        is_all = all(keys & known for keys in self._keys_of_b)
        return is_all and len(self.same_files) == len(self._keys_of_a)

    @cached_property
    def _keys_of_a(self) -> list[_Keys]:
        return _shard_keys(self._a)

    @cached_property
    def _keys_of_b(self) -> list[_Keys]:
        return self._keys_of_a if self._a is self._b else _shard_keys(self._b)

    def split(self, one: Part, two: Part) -> Iterator[tuple[Part, Part, str, bool]]:
        """Parts of two equally named ones with the state of their content, and whether moved."""
        rows, arity = self._rows(one), one.region.arity
        states = bytes(map(self._states.__getitem__, rows))
        if not states:
            return
        *few, most = sorted(set(states), key=states.count)
        apart: list[Indices] = []
        for state in few:
            chosen = compress(rows, map(state.__eq__, states))
            held = indices_in(one, map(self._a.table.names.__getitem__, chosen))
            apart += held
            region = Region.of(held, arity)
            yield one._replace(region=region), two._replace(region=region), *_label(state)
        for region in one.region.products_without(Region.of(apart, arity), MOST_PRODUCTS):
            yield one._replace(region=region), two._replace(region=region), *_label(most)

    def _rows(self, part: Part) -> Sequence[int]:
        """The rows of A's table that a part holds, in no order that matters."""
        family = part.unit.family
        if part.tensors == family.count:
            return family.rows
        wanted = part.own
        names = self._a.table.names
        found = zip(indices_in(part, [names[row] for row in family.rows]), family.rows, strict=True)
        members = frozenset(wanted)
        return [row for indices, row in found if indices in members]

    @cached_property
    def _states(self) -> bytes:
        """For each row of A, in one number, whether its file is proved equal and it has moved."""
        return bytes(map(add, self._proved, self._moved))

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
            flags[rows.start : rows.stop] = bytes([_PROVED]) * len(rows)
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
                flags[row] = _MOVED * (held.get(ours.names[row], path) != path)
        return flags


def _label(state: int) -> tuple[str, bool]:
    return (IDENTICAL if state & _PROVED else UNPROVED), bool(state & _MOVED)


def _shard_keys(checkpoint: Checkpoint) -> list[_Keys]:
    """For each shard what it has in common with every file that is the same.

    Parts of a pipeline may hold the same names: a file proves its own part alone.
    """
    identities = {entry.path: entry.identity for entry in checkpoint.files}
    return [
        frozenset(
            (shard.component, shard.file_size, *key)
            for key in _keys(checkpoint.origin, shard, identities.get(shard.path))
        )
        for shard in checkpoint.table.shards
    ]


def _keys(origin: Origin, shard: Shard, identity: str | None) -> Iterator[tuple[object, ...]]:
    if shard.digest:
        yield "sha256", shard.digest
    if identity:
        yield "file", identity
    if origin.commit and origin.kind in _REPOSITORIES:
        yield "commit", origin.title, origin.commit, shard.path
    if origin.kind in _ADDRESSED:
        yield "address", origin.kind, origin.spec, origin.revision, origin.commit, shard.path
    yield "object", id(shard)  # the same reading


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


def indices_in(part: Part, names: Iterable[str]) -> list[Indices]:
    """The index tuples in names of one family."""
    pieces = map(unescape, split_stars(part.unit.family.pattern))
    pattern = re.compile("([0-9]+)".join(map(re.escape, pieces)), re.DOTALL)
    found = map(pattern.fullmatch, names)
    return [tuple(map(int, one.groups())) if one else () for one in found]
