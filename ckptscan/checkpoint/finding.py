"""Which sets a source holds, and which of them is meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan import sets as filesets
from ckptscan.checkpoint.reading import Reader
from ckptscan.config import module_folders, parse_object, pipeline_components
from ckptscan.errors import SourceError, SourceNotFound, UsageError
from ckptscan.index import Index
from ckptscan.sets import FileSet, Member
from ckptscan.sources import DANGLING, FileEntry, Origin

# name of the set that all components of a folder make together -> the file that says so
COMPOSITES = {"pipeline": "model_index.json", "modules": "modules.json"}


class Choice(NamedTuple):
    """The sets to be read, and why these."""

    sets: tuple[FileSet, ...]
    reason: str


def find_sets(reader: Reader, indexes: Mapping[str, Index]) -> list[FileSet]:
    """All sets of a source, those made of components first; raises SourceNotFound for none."""
    if reader.source.origin.is_single_file:
        (path,) = reader.entries
        return [FileSet(path.removesuffix(filesets.SUFFIX), (Member(path),))]
    present = [path for path, entry in reader.entries.items() if entry.problem != DANGLING]
    usable = {path: index for path, index in indexes.items() if not index.problem}
    found: list[FileSet] = []
    for one in filesets.find_sets(present, usable):
        is_one = one.how != "numbered" or _have_distinct_names(reader, one)
        found += [one] if is_one else filesets.split_numbered(one)
    if not found:
        raise _nothing_in(reader.source.origin, reader.entries)
    by_folder: dict[str, list[FileSet]] = {}
    for one in found:
        by_folder.setdefault(one.folder, []).append(one)
    composites = [_composite(reader, name, by_folder) for name in COMPOSITES]
    return [*filter(None, composites), *found]


def _have_distinct_names(reader: Reader, one: FileSet) -> bool:
    """Whether no tensor name stands in two files: then the files are shards of one model."""
    try:
        headers = [reader.header(member.path) for member in one.members]
    except SourceError:
        return False
    names = {name for header in headers for name in header.names}
    return len(names) == sum(len(header.names) for header in headers) > 0


def _composite(
    reader: Reader, name: str, by_folder: Mapping[str, Sequence[FileSet]]
) -> FileSet | None:
    """The set of all components that the file of that name lists, None where there is none."""
    path = COMPOSITES[name]
    raw = reader.small(path)
    if raw is None:
        return None
    if name == "pipeline":
        document = parse_object(raw)
        if isinstance(document, str):
            reader.fault(path, "config-unusable", document, "warning")
            return None
        folders = dict.fromkeys(pipeline_components(document), True)
    else:
        folders = module_folders(raw)
    held = {folder: by_folder[folder] for folder in folders if folder in by_folder}
    if not any(held):
        return None
    lost = {folder: tells for folder, tells in folders.items() if folder not in held}
    weightless = list(_models(reader, lost))
    return filesets.join_components(name, held, weightless, reader.sizes)


def _models(reader: Reader, folders: Mapping[str, bool]) -> Iterator[str]:
    """The folders of models: with other weights, or a config.json where that tells of some."""
    for folder, tells in folders.items():
        inside = [path for path in reader.entries if path.startswith(f"{folder}/")]
        has_config = tells and f"{folder}/config.json" in inside
        if folder and (has_config or filesets.other_weights(inside)):
            yield folder


def choose(
    origin: Origin,
    found: Sequence[FileSet],
    sizes: Mapping[str, int],
    set_name: str | None,
    all_sets: bool,
) -> Choice:
    """The sets that are asked for, or the one that a loader would take."""
    composites = [one for one in found if one.name in COMPOSITES]
    if all_sets:
        return Choice(tuple(_apart(found)), "all sets")
    if set_name is not None:
        return Choice((_named(found, set_name),), "asked for")
    if origin.is_index:
        named = [one for one in found if (origin.target,) == one.indexes and not one.parts]
        return Choice((named[0],), "its index")
    if composites:
        return Choice((composites[0],), f"{COMPOSITES[composites[0].name]} names its components")
    best, reason = filesets.preferred(found, sizes)
    return Choice((best,), reason)


def _apart(found: Sequence[FileSet]) -> Iterator[FileSet]:
    """All sets, each without the files that stand in one before: nothing is counted twice."""
    taken: set[str] = set()
    for one in found:
        left = tuple(member for member in one.members if member.path not in taken)
        taken.update(member.path for member in left)
        if left or not one.members:
            yield one._replace(members=left)


def parts_of(found: Iterable[FileSet]) -> dict[str, str]:
    """Names of the sets that are part of a composite -> that composite's name."""
    return {part: one.name for one in found for part in one.parts}


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
    dangling = [path for path, entry in entries.items() if entry.problem == DANGLING]
    weights = filesets.weight_paths(dangling)
    instead = filesets.other_weights(entries)
    if weights:
        hint = f"{weights[0]} {DANGLING}; download it again"
    elif instead:
        hint = f"found {', '.join(instead)}; ckptscan reads safetensors headers only"
    elif entries:
        count = f"{len(entries):,} file{'s' * (len(entries) != 1)}"
        hint = f"found {count}, none with weights that ckptscan knows"
    else:
        hint = "nothing is there, down to three folders deep"
    return SourceNotFound(f"{origin.spec}: no .safetensors file", hint)
