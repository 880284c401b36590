"""Two locks -> how the one has become the other, tensor by tensor and file by file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ckptscan.lock.values import Kind, Lock, WeightFile
from ckptscan.names import natural_key


class Recast(NamedTuple):
    """Tensors that were one thing and are another: the names, by what they were and are."""

    before: str | tuple[int, ...]
    after: str | tuple[int, ...]
    names: tuple[str, ...]


class FileDrift(NamedTuple):
    """A file that is not what it was; a value is None where the file is absent."""

    path: str
    before: int | str | None
    after: int | str | None


class Drift(NamedTuple):
    """All that differs.

    `added` and `removed` are names by file; `moved` names by the file they were in and the one they
    are in. `sizes` are weight files of other size, new or gone; `headers` those whose header is
    another; `same_tensors` of these hold the tensors that they held. `contents` are files of known
    sha256 that have another, and other files that came, went or have another size.
    """

    removed: tuple[tuple[str, tuple[str, ...]], ...]
    added: tuple[tuple[str, tuple[str, ...]], ...]
    shapes: tuple[Recast, ...]
    dtypes: tuple[Recast, ...]
    moved: tuple[Recast, ...]
    sizes: tuple[FileDrift, ...]
    headers: tuple[str, ...]
    same_tensors: frozenset[str]
    contents: tuple[FileDrift, ...]


NO_DRIFT = Drift((), (), (), (), (), (), (), frozenset(), ())


@dataclass(frozen=True)
class Compared:
    """What a checkpoint was when it was locked, and what it is now."""

    then: Lock
    now: Lock

    @cached_property
    def drift(self) -> Drift:
        """How the one has become the other."""
        return find_drift(self.then, self.now)


_Place = tuple[str, str]  # name and file


def find_drift(then: Lock, now: Lock) -> Drift:
    """All that differs between two locks; only files that differ are looked at by tensor."""
    before = {file.path: file for file in then.files}
    after = {file.path: file for file in now.files}
    same = {path for path in before if path in after and _is_same(then, before[path], now, after)}
    old = _places(then, (file for path, file in before.items() if path not in same))
    new = _places(now, (file for path, file in after.items() if path not in same))
    pairs = [(place, place) for place in old if place in new]
    moved = list(_moved(old, new))
    pairs += moved
    gone = old.keys() - {place for place, _ in pairs}
    come = new.keys() - {place for _, place in pairs}
    changed = [(one[0], old[one], new[other]) for one, other in pairs]
    headers = [path for path in before if path in after and _has_other_header(before, after, path)]
    return Drift(
        _by_file(gone),
        _by_file(come),
        _recast((name, a.shape, b.shape) for name, a, b in changed),
        _recast((name, a.dtype, b.dtype) for name, a, b in changed),
        _recast((one[0], one[1], other[1]) for one, other in moved),
        tuple(_sizes(before, after)),
        tuple(headers),
        frozenset(same),
        tuple(_contents(then, now)),
    )


def _is_same(then: Lock, file: WeightFile, now: Lock, after: dict[str, WeightFile]) -> bool:
    """Whether a file holds the tensors that it held: by its header's bytes, or by their kinds."""
    other = after[file.path]
    if file.header and file.header == other.header:
        return True
    return _kinds(then, file) == _kinds(now, other)


def _kinds(lock: Lock, file: WeightFile) -> set[tuple[object, ...]]:
    return {(*lock.kinds[block.kind], *block.axes) for block in file.blocks}


def _has_other_header(
    before: dict[str, WeightFile], after: dict[str, WeightFile], path: str
) -> bool:
    return before[path].header != after[path].header


def _places(lock: Lock, files: Iterable[WeightFile]) -> dict[_Place, Kind]:
    return {(name, file.path): kind for file in files for name, kind in lock.tensors(file)}


def _moved(old: dict[_Place, Kind], new: dict[_Place, Kind]) -> Iterable[tuple[_Place, _Place]]:
    """Tensors that stand in another file than they did; those of a name in their order."""
    waiting: dict[str, list[_Place]] = {}
    for place in new:
        if place not in old:
            waiting.setdefault(place[0], []).append(place)
    for place in old:
        if place not in new and waiting.get(place[0]):
            yield place, waiting[place[0]].pop(0)


def _by_file(places: Iterable[_Place]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    found: dict[str, list[str]] = {}
    for name, file in places:
        found.setdefault(file, []).append(name)
    return tuple(
        (file, tuple(sorted(found[file], key=natural_key)))
        for file in sorted(found, key=natural_key)
    )


def _recast(
    changes: Iterable[tuple[str, str | tuple[int, ...], str | tuple[int, ...]]],
) -> tuple[Recast, ...]:
    """What differs, by before and after, in the order of the first name."""
    found: dict[tuple[str | tuple[int, ...], str | tuple[int, ...]], list[str]] = {}
    for name, before, after in changes:
        if before != after:
            found.setdefault((before, after), []).append(name)
    recast = [Recast(*key, tuple(sorted(names, key=natural_key))) for key, names in found.items()]
    return tuple(sorted(recast, key=lambda one: natural_key(one.names[0])))


def _sizes(before: dict[str, WeightFile], after: dict[str, WeightFile]) -> Iterable[FileDrift]:
    for path in sorted({*before, *after}, key=natural_key):
        one = before[path].size if path in before else None
        other = after[path].size if path in after else None
        if one != other:
            yield FileDrift(path, one, other)


def _contents(then: Lock, now: Lock) -> Iterable[FileDrift]:
    """Files whose content is known to be another, and other files that came or went."""
    old = {file.path: file.digest for file in then.files}
    for file in now.files:
        digest = old.get(file.path)
        if digest and file.digest and digest != file.digest:
            yield FileDrift(file.path, digest, file.digest)
    before = {file.path: file for file in then.others}
    after = {file.path: file for file in now.others}
    for path in sorted({*before, *after}, key=natural_key):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            yield FileDrift(path, one and one.size, other and other.size)
        elif one.sha256 and other.sha256 and one.sha256 != other.sha256:
            yield FileDrift(path, one.sha256, other.sha256)
        elif one.size != other.size:
            yield FileDrift(path, one.size, other.size)
