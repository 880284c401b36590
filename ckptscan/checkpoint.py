"""Source -> Checkpoint: list files, choose the set, read headers, join them into one table."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan import sets as filesets
from ckptscan.config import (
    CONFIG_NAMES,
    MAX_CONFIG,
    Config,
    module_folders,
    parse_object,
    pipeline_components,
    read_config,
)
from ckptscan.errors import SourceError, SourceNotFound, UsageError
from ckptscan.header import Fault, Header, parse_header
from ckptscan.index import MAX_INDEX, Index, read_index
from ckptscan.names import natural_key
from ckptscan.sets import FileSet, Member
from ckptscan.sources import DANGLING, FileEntry, Origin, Source, open_source, read_head, read_small
from ckptscan.table import TableBuilder, TensorTable

# name of the set that all components of a folder make together -> the file that says so
COMPOSITES = {"pipeline": "model_index.json", "modules": "modules.json"}


class FileFault(NamedTuple):
    """A fault and the file it lies in."""

    file: str
    fault: Fault


class SetSummary(NamedTuple):
    """One set of a source; `tensors` and `nbytes` are None where a file of it can't be read."""

    name: str
    files: int
    tensors: int | None
    nbytes: int | None
    chosen: bool


@dataclass(frozen=True)
class Checkpoint:
    """What a source holds, from headers alone.

    `table` holds the tensors of the chosen set; `sets` names all sets, `choice` says why this one.
    `files` lists everything found, `faults` what is wrong or odd, in the order of the files.
    `missing` are promised files that are not there; `incomplete` says that tensors may be absent
    from the table. `parts` tells, for a component whose files repeat the same names with cut
    shapes (tensor parallel), how many they are.
    """

    origin: Origin
    table: TensorTable
    sets: tuple[SetSummary, ...]
    choice: str
    files: tuple[FileEntry, ...]
    faults: tuple[FileFault, ...]
    missing: tuple[str, ...]
    index: Index | None
    config: Config
    parts: Mapping[str, int]
    incomplete: bool

    @property
    def numel(self) -> int:
        """Elements of all tensors: the sum of the products of their shapes."""
        sizes = [kind.numel for kind in self.table.kinds]
        return sum(map(sizes.__getitem__, self.table.codes))

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, as stored."""
        return sum(shard.data_size for shard in self.table.shards)

    @property
    def is_sound(self) -> bool:
        """Whether every file is there and the reference library opens it."""
        return all(fault.severity != "error" for _, fault in self.faults)


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


def load(source: Source, set_name: str | None = None, all_sets: bool = False) -> Checkpoint:
    """The checkpoint in a source: the set that is asked for, or the one a loader would take.

    Raises SourceError where something can't be read, UsageError for a set that is not there.
    """
    with no_collection():
        return _Loader(source).load(set_name, all_sets)


def open_checkpoint(
    source: str | Source, set_name: str | None = None, all_sets: bool = False
) -> Checkpoint:
    """The checkpoint that a path or a Source names; see `load`."""
    return load(open_source(str(source)) if isinstance(source, str) else source, set_name, all_sets)


class _Loader:
    """One reading of a source; keeps the headers that more than one step needs."""

    def __init__(self, source: Source) -> None:
        self.source = source
        listed = sorted(source.files(), key=lambda entry: natural_key(entry.path))
        self.entries = {entry.path: entry for entry in listed}
        self.sizes = {entry.path: entry.size for entry in listed}
        self.headers: dict[str, Header] = {}
        self.faults: list[FileFault] = []

    def load(self, set_name: str | None, all_sets: bool) -> Checkpoint:
        indexes = {path: self._read_index(path) for path in filesets.index_paths(self.entries)}
        found = self._sets({path: index for path, index in indexes.items() if not index.problem})
        if not found:
            raise _nothing_in(self.source.origin, self.entries)
        chosen, choice = self._choose(found, set_name, all_sets)
        builder = TableBuilder()
        for one in chosen:
            self._add(one, "" if len(chosen) == 1 else one.name, builder)
            self._check_against_indexes(one, indexes)
        table = builder.table()
        used = [indexes[path] for one in chosen for path in one.indexes]
        parts = self._parts(table)
        whole = all(self.headers[shard.path].is_complete for shard in table.shards)
        return Checkpoint(
            self.source.origin,
            table,
            tuple(self._summary(one, one in chosen) for one in found),
            choice,
            tuple(self.entries.values()),
            tuple(self.faults),
            tuple(path for one in chosen for path in one.missing),
            used[0] if len(used) == 1 else None,
            self._config(chosen[0].folder),
            parts,
            not whole or any(one.missing or one.strays for one in chosen),
        )

    def _read_index(self, path: str) -> Index:
        raw = read_small(self.source, self.entries[path], MAX_INDEX)
        return Index(problem="the index can't be read") if raw is None else read_index(raw)

    def _header(self, path: str) -> Header:
        if path not in self.headers:
            entry = self.entries[path]
            self.headers[path] = parse_header(read_head(self.source, entry), entry.size)
        return self.headers[path]

    def _sets(self, indexes: Mapping[str, Index]) -> list[FileSet]:
        """All sets, those made of components first."""
        if self.source.origin.is_single_file:
            (path,) = self.entries
            return [FileSet(path.removesuffix(filesets.SUFFIX), (Member(path),))]
        present = [path for path, entry in self.entries.items() if entry.problem != DANGLING]
        found: list[FileSet] = []
        for one in filesets.find_sets(present, indexes):
            is_one = not one.numbered or self._have_distinct_names(one)
            found += [one] if is_one else filesets.split_numbered(one)
        return [*self._composites(found), *found]

    def _have_distinct_names(self, one: FileSet) -> bool:
        """Whether no tensor name stands in two files: then the files are shards of one model."""
        headers = [self._header(member.path) for member in one.members]
        names = {name for header in headers for name in header.names}
        return len(names) == sum(len(header.names) for header in headers) > 0

    def _composites(self, found: Sequence[FileSet]) -> Iterator[FileSet]:
        for name, path in COMPOSITES.items():
            raw = self._small(path)
            if raw is None:
                continue
            if name == "pipeline":
                document = parse_object(raw)
                folders = [] if isinstance(document, str) else pipeline_components(document)
            else:
                folders = module_folders(raw)
            parts = {folder: [one for one in found if one.folder == folder] for folder in folders}
            parts = {folder: sets for folder, sets in parts.items() if sets}
            if any(parts):
                yield filesets.join_components(name, parts, self.sizes)

    def _small(self, path: str) -> bytes | None:
        entry = self.entries.get(path)
        return read_small(self.source, entry, MAX_CONFIG) if entry else None

    def _choose(
        self, found: Sequence[FileSet], set_name: str | None, all_sets: bool
    ) -> tuple[list[FileSet], str]:
        if all_sets:
            taken = {
                member.path for one in found if one.name in COMPOSITES for member in one.members
            }
            rest = [one for one in found if not taken.issuperset(m.path for m in one.members)]
            return [one for one in found if one.name in COMPOSITES] + rest, "all sets"
        if set_name is not None:
            return [_named(found, set_name)], "asked for"
        if self.source.origin.kind == "index":
            path = self.source.origin.title
            return [one for one in found if path in one.indexes][:1] or [found[0]], "its index"
        if found[0].name in COMPOSITES:
            return [found[0]], f"{COMPOSITES[found[0].name]} names its components"
        best, reason = filesets.preferred(found, self.sizes)
        return [best], reason

    def _add(self, one: FileSet, label: str, builder: TableBuilder) -> None:
        """Read the files of a set into the table, with their faults."""
        for path in one.missing:
            self._fault(path, "missing-file", "promised and not there", "error")
        for path in one.strays:
            message = f"the index names {path[:80]!r}, which is outside its folder; not followed"
            self._fault(one.indexes[0], "index-path-escapes", message, "error")
        for path, component in one.members:
            header, entry = self._header(path), self.entries[path]
            name = "/".join(filter(None, (label, component)))
            builder.add(header, path, entry.size, entry.digest, name)
            self.faults += [FileFault(path, fault) for fault in header.faults]

    def _fault(self, file: str, kind: str, message: str, severity: str) -> None:
        self.faults.append(FileFault(file, Fault(kind, message, severity=severity)))

    def _check_against_indexes(self, one: FileSet, indexes: Mapping[str, Index]) -> None:
        """What an index tells for free: whether it can be used, and how many tensors it lists."""
        for path, index in indexes.items():
            if index.problem and path.rpartition("/")[0] == one.folder:
                self._fault(path, "index-unusable", index.problem, "error")
        if len(one.indexes) != 1 or one.missing or one.strays:
            return
        listed = indexes[one.indexes[0]].tensors
        held = sum(len(self._header(member.path).names) for member in one.members)
        if listed != held:
            message = f"the index lists {listed:,} tensors, its shards hold {held:,}"
            self._fault(one.indexes[0], "index-count", message, "warning")

    def _parts(self, table: TensorTable) -> dict[str, int]:
        """Components whose files all repeat the same names; other repeats are faults."""
        parts = {}
        for component in sorted(table.repeating):
            shards = [shard for shard in table.shards if shard.component == component]
            distinct = {table.names[row] for shard in shards for row in shard.rows}
            if all(len(shard.rows) == len(distinct) for shard in shards):
                parts[component] = len(shards)
            else:
                self._repeats(table, [shard.rows for shard in shards])
        return parts

    def _repeats(self, table: TensorTable, blocks: Sequence[range]) -> None:
        seen: set[str] = set()
        for block in blocks:
            names = [table.names[row] for row in block]
            again = [name for name in names if name in seen]
            if again:
                file = table.shards[table.shard_of(block.start)].path
                message = (
                    f"{len(again):,} tensors stand in an earlier file too, as {again[0][:80]!r}"
                )
                self._fault(file, "duplicate-tensor", message, "warning")
            seen.update(names)

    def _summary(self, one: FileSet, chosen: bool) -> SetSummary:
        try:
            headers = [self._header(member.path) for member in one.members]
        except SourceError:
            return SetSummary(one.name, len(one.members), None, None, chosen)
        tensors = sum(len(header.names) for header in headers)
        nbytes = sum(header.data_size for header in headers)
        return SetSummary(one.name, len(headers), tensors, nbytes, chosen)

    def _config(self, folder: str) -> Config:
        paths = [f"{folder}/{name}" if folder else name for name in CONFIG_NAMES]
        return read_config(
            {path.rpartition("/")[2]: self._small(path) for path in paths if path in self.entries}
        )


def _named(found: Sequence[FileSet], name: str) -> FileSet:
    for one in found:
        if one.name == name:
            return one
    import difflib

    names = [one.name for one in found]
    close = difflib.get_close_matches(name, names, 1)
    hint = f"did you mean {close[0]}?" if close else f"the sets are: {', '.join(names[:10])}"
    raise UsageError(f"no set is called {name!r}", hint)


def _nothing_in(origin: Origin, entries: Mapping[str, FileEntry]) -> SourceNotFound:
    """The error for a source without a safetensors file; says what is there instead."""
    instead = filesets.other_weights(entries)
    if instead:
        hint = f"there are {', '.join(instead)}; ckptscan reads safetensors headers only"
    elif entries:
        hint = f"{len(entries):,} files are there, none with weights that ckptscan knows"
    else:
        hint = "the folder is empty"
    return SourceNotFound(f"{origin.spec}: no .safetensors file", hint)
