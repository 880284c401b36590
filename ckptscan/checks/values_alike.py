"""V004, V010: layers, experts and whole models that hold the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.checks.evidence.contents import TABLES, groups, sampled
from ckptscan.checks.places import by_pattern
from ckptscan.checks.values import INFERRED, PROVED, Check, Finding, Subject, Where
from ckptscan.names import IndexSet, is_index

Suffix = tuple[str, ...]


class _Place(NamedTuple):
    """A numbered part of a model: names before its number, which has its place there."""

    before: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((*self.before, "*"))


def identical_parts(subject: Subject) -> Iterator[Finding]:
    """Two layers or experts hold the same bytes.

    What it finds: layers, or experts of one layer, whose matrices are all byte for byte those of
    another; and, as a remark, single matrices that stand in several places with the same bytes.
    Constant tensors and a head that is the embedding are left out.
    Why it matters: models that were made larger by copying layers are so on purpose; else one rank
    was saved for all (KempnerForge#202), or a loop wrote the same expert again.
    Example: experts 0-7 of model.layers.3.mlp hold the same bytes.
    What to do: ask whether layers were copied on purpose; else convert again.
    """
    content = subject.given.content
    if content is None or not content.alike:
        return
    number = {row: group for group, rows in enumerate(content.alike) for row in rows}
    explained: set[int] = set()
    for place, indices, rows in _same_parts(subject, number):
        explained |= rows
        yield SAME.finding(
            f"{place}: {len(indices):,} hold the same bytes{sampled(content)}: {indices}",
            Where(pattern=str(place), indices=(str(indices),), count=len(indices)),
            confidence=INFERRED if content.sampled else PROVED,
            hint="were they copied on purpose? else convert the model again",
            seen=str(indices),
            tensors=len(rows),
        )
    yield from _single(subject, content.alike, explained)


def _same_parts(
    subject: Subject, number: Mapping[int, int]
) -> Iterator[tuple[_Place, IndexSet, set[int]]]:
    """Numbered parts all of whose matrices are those of another; the outermost ones."""
    parts: dict[_Place, dict[int, dict[Suffix, tuple[int, int | None]]]] = {}
    for group in groups(subject, subject.given.content):
        for one in group.tensors if group.is_matrix else ():
            segments = one.name.split(".")
            group_number = None if one.found.is_constant else number.get(one.row)
            if one.found.is_constant:
                continue
            for at, segment in enumerate(segments):
                if is_index(segment):
                    part = parts.setdefault(_Place(tuple(segments[:at])), {})
                    held = part.setdefault(int(segment), {})
                    held[tuple(segments[at + 1 :])] = one.row, group_number
    told: set[int] = set()
    for place in sorted(parts, key=lambda place: (len(place.before), place.before)):
        for indices, rows in _same(parts[place]):
            if not rows <= told:
                yield place, IndexSet.of(indices), rows
            told |= rows


def _same(
    part: Mapping[int, Mapping[Suffix, tuple[int, int | None]]],
) -> Iterator[tuple[list[int], set[int]]]:
    """The indices of one container that hold the same, with all their rows."""
    alike: dict[frozenset[tuple[Suffix, int]], list[int]] = defaultdict(list)
    for index, held in part.items():
        signature = {(suffix, group) for suffix, (_, group) in held.items() if group is not None}
        if len(signature) == len(held):
            alike[frozenset(signature)].append(index)
    for indices in alike.values():
        if len(indices) > 1:
            yield indices, {row for index in indices for row, _ in part[index].values()}


def _single(
    subject: Subject, alike: tuple[tuple[int, ...], ...], explained: set[int]
) -> Iterator[Finding]:
    """Matrices that stand in several places, where no whole part explains them."""
    matrices = {
        one.row: one.name
        for group in groups(subject, subject.given.content)
        if group.is_weight and group.role not in TABLES
        for one in group.tensors
    }
    found = [[matrices[row] for row in rows if row in matrices] for rows in alike]
    found = [
        names
        for names, rows in zip(found, alike, strict=True)
        if len(names) > 1 and not explained.issuperset(rows)
    ]
    if found:
        names = [name for group in found for name in group]
        yield SAME.finding(
            f"{len(names):,} matrices hold {len(found):,} different contents,"
            f" such as {found[0][0]} and {found[0][1]}",
            *by_pattern(names),
            severity="info",
            hint="weights that are shared are stored once",
            tensors=len(names),
        )


def same_as_base(subject: Subject) -> Iterator[Finding]:
    """The files are those of the base model.

    What it finds: a checkpoint that is held against a base and whose weight files are all, by their
    sha256, files of that base.
    Why it matters: a merge or a training that saved the wrong object gives the base again
    (verl#7285, unsloth#869).
    Example: 4 of 4 files are files of the base.
    What to do: look what was saved; merge again.
    """
    base = subject.given.base
    theirs = {s.digest for s in base.checkpoint.table.shards} if base is not None else set()
    mine = [shard.digest for shard in subject.checkpoint.table.shards]
    if mine and None not in mine and theirs.issuperset(mine):
        yield BASE.finding(
            f"all {len(mine):,} weight files are files of the base",
            *(Where(shard.path) for shard in subject.checkpoint.table.shards[:100]),
            hint="look what was saved, and merge again",
            seen=len(mine),
        )


SAME = Check("V004", "identical-parts", "warning", identical_parts, "content")
BASE = Check("V010", "same-as-base", "info", same_as_base, "base")
CHECKS: tuple[Check, ...] = (SAME, BASE)
