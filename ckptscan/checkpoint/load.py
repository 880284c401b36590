"""Loading: read the headers of the chosen sets and join them into one table."""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckptscan import sets as filesets
from ckptscan.checkpoint.common import Alone
from ckptscan.checkpoint.finding import choose, find_sets, parts_of
from ckptscan.checkpoint.reading import Reader, Witness
from ckptscan.checkpoint.values import Checkpoint, FileFault, SetSummary
from ckptscan.errors import SourceError, SourceUnreadable
from ckptscan.header import quoted
from ckptscan.index import Index
from ckptscan.sets import FileSet
from ckptscan.sources import Access, Source, open_source
from ckptscan.table import Shard, TableBuilder, TensorTable

if TYPE_CHECKING:
    from ckptscan.sources.objects import Store

SHOWN_MISSING = 10  # absent files that have a fault of their own


@contextmanager
def no_collection() -> Iterator[None]:
    """The garbage collector off: it takes a third of the time of building 92,000 names."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def open_checkpoint(
    source: str | os.PathLike[str] | Source | Store,
    set_name: str | None = None,
    all_sets: bool = False,
    access: Access | None = None,
    beside: Sequence[str] = (),
) -> Checkpoint:
    """The checkpoint that a path, an address, a Source or a Store names; see `load`.

    A Store is any object with `list()`, `size(path)` and `read(path, start, length)`. `access` says
    how sources that lie elsewhere may be reached.
    """
    if isinstance(source, str | os.PathLike):
        source = open_source(os.fspath(source), access)
    elif not isinstance(source, Source):
        from ckptscan.sources.objects import open_object

        source = open_object(source, access=access)
    return load(source, set_name, all_sets, beside)


def load(
    source: Source,
    set_name: str | None = None,
    all_sets: bool = False,
    beside: Sequence[str] = (),
    witness: Witness | None = None,
    common: Alone | None = None,
) -> Checkpoint:
    """The checkpoint in a source: the set that is asked for, or the one a loader would take.

    `beside` names further small files to be read into its configs (see `config.AUDITED`). `witness`
    is told the path and the first bytes of each weight file, up to its header's end. `common` is
    what this reading shares with another.
    Raises SourceError where something can't be read, UsageError for a set that is not there.
    """
    with no_collection():
        reader = Reader(source, beside, witness, common)
        indexes = reader.indexes()
        if source.origin.is_index and indexes[source.origin.target].problem:
            problem = indexes[source.origin.target].problem
            raise SourceUnreadable(f"{source.origin.spec}: {problem}", "inspect its folder instead")
        found = find_sets(reader, indexes)
        chosen, reason = choose(source.origin, found, reader.sizes, set_name, all_sets)
        table, gaps = _join(reader, chosen, indexes)
        _name_stale_indexes(reader, found, chosen)
        parts = _parts(reader, table, chosen)
        config = reader.config(chosen[0].folder)
        configs = {
            shard.component: reader.config(shard.path.rpartition("/")[0])
            for shard in table.shards
            if shard.component
        }
    used = tuple(path for one in chosen for path in one.indexes)
    return Checkpoint(
        source.origin,
        table,
        _summaries(reader, found, chosen),
        reason,
        tuple(reader.entries.values()),
        tuple(reader.faults),
        tuple(path for one in chosen for path in one.missing),
        tuple(gaps),
        indexes[used[0]] if len(used) == 1 else None,
        config,
        parts,
        configs,
        indexes,
        used,
    )


def _join(
    reader: Reader, chosen: Sequence[FileSet], indexes: Mapping[str, Index]
) -> tuple[TensorTable, list[str]]:
    """The tensors of all files of these sets, and the reasons why some may be absent."""
    builder = TableBuilder()
    gaps = [*_unsafe(reader)]
    for one in chosen:
        gaps += _add(reader, one, one.name if len(chosen) > 1 else "", builder)
        _compare_with_indexes(reader, one, indexes)
    return builder.table(), gaps


def _add(reader: Reader, one: FileSet, label: str, builder: TableBuilder) -> Iterator[str]:
    """Read the files of a set into the table; gives the reasons why tensors may be absent."""
    yield from _promised(reader, one)
    broken = 0
    for path, component in one.members:
        header, entry = reader.header(path), reader.entries[path]
        name = "/".join(filter(None, (label, component)))
        builder.add(header, path, entry.size, entry.digest, name)
        reader.faults += [FileFault(path, fault) for fault in header.faults]
        broken += not header.is_complete
    if broken:
        yield f"{broken:,} header{'s' * (broken != 1)} can't be read in full"


def _unsafe(reader: Reader) -> Iterator[str]:
    """Faults for weight files that are listed under names which are not followed."""
    weights = [path for path in reader.unsafe if path.endswith(filesets.SUFFIX)]
    for path in weights[:SHOWN_MISSING]:
        message = "is listed under a name that leads out of its folder; not followed"
        reader.fault(quoted(path), "unsafe-file-name", message, "error")
    if weights:
        yield f"{len(weights):,} file{'s' * (len(weights) != 1)} listed under unsafe names"


def _promised(reader: Reader, one: FileSet) -> Iterator[str]:
    """Faults for what a set promises and does not hold; gives the reasons."""
    promise = f"named by {one.indexes[0]}" if one.indexes else "promised by the numbering"
    missing = one.missing
    for path in missing[:SHOWN_MISSING]:
        reader.fault(path, "missing-file", f"{promise}, and absent", "error")
    more = len(missing) - SHOWN_MISSING
    if more > 0:
        message = f"{more:,} more files up to this one are {promise}, and absent"
        reader.fault(missing[-1], "missing-file", message, "error")
    if missing:
        yield f"{len(missing):,} file{'s' * (len(missing) != 1)} missing"
    _name_strays(reader, one)
    if one.strays:
        yield "an index names files outside its folder"
    for folder in one.weightless:
        message = "a component without safetensors weights"
        reader.fault(f"{folder}/", "component-without-weights", message, "error")
        yield f"{folder} has no safetensors weights"


def _name_strays(reader: Reader, one: FileSet) -> None:
    """Faults for what an index names outside its folder."""
    for path in one.strays:
        message = f"names {quoted(path)}, which is outside its folder; not followed"
        reader.fault(one.indexes[0], "index-path-escapes", message, "error")


def _compare_with_indexes(reader: Reader, one: FileSet, indexes: Mapping[str, Index]) -> None:
    """What an index tells for free: whether it can be used, and how many tensors it lists."""
    for path, index in indexes.items():
        if index.problem and path.rpartition("/")[0] == one.folder:
            reader.fault(path, "index-unusable", index.problem, "error")
    if one.missing or one.strays:
        return
    for path in one.indexes:
        folder = path.rpartition("/")[0]
        shards = {f"{folder}/{shard}" if folder else shard for shard in indexes[path].shards}
        held = sum(
            len(reader.header(member.path).names) for member in one.members if member.path in shards
        )
        if indexes[path].tensors != held:
            message = f"lists {indexes[path].tensors:,} tensors, its shards hold {held:,}"
            reader.fault(path, "index-count", message, "warning")
        else:
            _compare_shards(reader, path, indexes[path])


def _compare_shards(reader: Reader, path: str, index: Index) -> None:
    """Whether each shard holds as many tensors as the index says, of names as long together.

    Shards that were mixed up hold as many in all; which names they are, audit proves.
    """
    folder = path.rpartition("/")[0]
    for shard, (tensors, names) in index.contents.items():
        full = f"{folder}/{shard}" if folder else shard
        held = reader.header(full).names
        is_alike = tensors == len(held)
        if is_alike and sum(map(len, held)) + 2 * tensors != names:
            is_alike = sum(len(json.dumps(name)) for name in held) == names
        if not is_alike:
            message = f"holds other tensors than {quoted(path)} names for it"
            reader.fault(full, "index-shard", message, "warning")


def _name_stale_indexes(
    reader: Reader, found: Sequence[FileSet], chosen: Sequence[FileSet]
) -> None:
    """Tell of an index none of whose files is there, beside the set that was chosen."""
    taken = {one.name for one in chosen}
    for one in found:
        if one.name not in taken and one.indexes and not one.members and not one.parts:
            _name_strays(reader, one)
            message = f"names {len(one.missing):,} files, of which none is there"
            reader.fault(one.indexes[0], "index-stale", message, "warning")


def _parts(reader: Reader, table: TensorTable, chosen: Sequence[FileSet]) -> dict[str, int]:
    """Components whose files repeat the same names, as parts do; other repeats are faults.

    Files that are named as parts may hold tensors of their own besides, such as their experts.
    """
    named_as_parts = {member.path for one in chosen if one.how == "part" for member in one.members}
    parts = {}
    components: dict[str, list[Shard]] = {name: [] for name in sorted(table.repeating)}
    for shard in table.shards:
        if shard.component in components:
            components[shard.component].append(shard)
    for component, shards in components.items():
        counts: dict[str, int] = {}
        for shard in shards:
            for row in shard.rows:
                counts[table.names[row]] = counts.get(table.names[row], 0) + 1
        allowed = {len(shards)}
        if named_as_parts.issuperset(shard.path for shard in shards):
            allowed.add(1)
        if allowed.issuperset(counts.values()):
            parts[component] = len(shards)
        else:
            _repeats(reader, table, [shard.rows for shard in shards])
    return parts


def _repeats(reader: Reader, table: TensorTable, blocks: Sequence[range]) -> None:
    seen: set[str] = set()
    for block in blocks:
        names = [table.names[row] for row in block]
        again = [name for name in names if name in seen]
        if again:
            file = table.shards[table.shard_of(block.start)].path
            count = f"{len(again):,} tensor{'s' * (len(again) != 1)}"
            message = f"{count} of an earlier file again, as {quoted(again[0])}"
            reader.fault(file, "duplicate-tensor", message, "warning")
        seen.update(names)


def _summaries(
    reader: Reader, found: Sequence[FileSet], chosen: Sequence[FileSet]
) -> tuple[SetSummary, ...]:
    within, taken = parts_of(found), {one.name for one in chosen}
    summaries = []
    for one in found:
        tensors: int | None = 0
        nbytes: int | None = 0
        try:
            headers = [reader.header(member.path) for member in one.members]
            tensors = sum(len(header.names) for header in headers)
            nbytes = sum(header.data_size for header in headers)
        except SourceError:
            tensors = nbytes = None
        summaries.append(
            SetSummary(
                one.name,
                len(one.members),
                tensors,
                nbytes,
                one.name in taken,
                within.get(one.name, ""),
            )
        )
    return tuple(summaries)
