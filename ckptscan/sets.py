"""File names -> the sets of weight files that each make one checkpoint.

A folder may hold several: HF shards beside `consolidated.safetensors`, `.fp16.` variants, a
pipeline of components, an adapter. Only names are looked at here, and the shards that an index
names; what the headers say (tensor-parallel parts, shards without numbers) is joined later.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ckptscan.index import INDEX_NAME, Index, is_index
from ckptscan.names import natural_key
from ckptscan.paths import is_inside

SUFFIX = ".safetensors"
MAX_SHARDS = 4096  # of a numbering; a name that promises more is a joke

# how files of one set are numbered: a kind, and a pattern with stem, number and rest
_NUMBERINGS = (
    # model-00001-of-00029, model-1-of-61, model.fp16-00001-of-00002, model-00001-of-00002.fp16
    ("shard", r"(?P<stem>.*?)[-_.]?(?P<number>\d+)[-_]of[-_](?P<count>\d+)(?P<rest>.*)"),
    # consolidated.00 of Meta's original checkpoints
    ("part", r"(?P<stem>consolidated)\.(?P<number>\d+)(?P<rest>)"),
    # model3-mp8 of DeepSeek's converter
    ("part", r"(?P<stem>.*?)(?P<number>\d+)-mp(?P<count>\d+)(?P<rest>.*)"),
    # mp_rank_02_model_states of Megatron and DeepSpeed, model_tp_3
    ("part", r"(?P<stem>(?:.*[-_.])?(?:rank|tp))[-_]?(?P<number>\d+)(?P<rest>.*)"),
)
_COMPILED = tuple((how, re.compile(pattern, re.ASCII)) for how, pattern in _NUMBERINGS)
_NUMBERS = re.compile(r"\d+", re.ASCII)

# what loaders look for first, in this order: transformers, diffusers, older transformers, PEFT
_USUAL = ("model", "diffusion_pytorch_model", "pytorch_model", "adapter_model")

# weight files of other formats -> what they are; for the hint where no safetensors file is found
OTHER_WEIGHTS = {
    ".bin": "PyTorch pickles",
    ".pt": "PyTorch pickles",
    ".pth": "PyTorch pickles",
    ".ckpt": "PyTorch or TensorFlow checkpoints",
    ".pkl": "pickles",
    ".gguf": "llama.cpp models",
    ".h5": "Keras weights",
    ".keras": "Keras models",
    ".msgpack": "Flax weights",
    ".onnx": "ONNX models",
    ".npz": "NumPy archives",
    ".npy": "NumPy arrays",
    ".tflite": "TensorFlow Lite models",
    ".distcp": "PyTorch distributed checkpoints",
    ".nemo": "NeMo archives",
}


class Member(NamedTuple):
    """One weight file of a set; `component` is the part of a pipeline it belongs to, or ""."""

    path: str
    component: str = ""


class FileSet(NamedTuple):
    """Weight files that make one checkpoint.

    `stem` is the name without folder and variant: `model`, `consolidated`. `absent` are files that
    an index promises and that are not there, `numbers` those that the numbering promises; `strays`
    the paths of an index that lead outside its folder. `indexes` are the indexes used. `how` tells
    what holds the files together: single, index, shard (`-of-`), part (tensor parallel), numbered
    (only their headers can say whether they belong together), or components; `parts` then names
    the sets that were joined, and `weightless` the components that are models and have no
    safetensors file.
    """

    name: str
    members: tuple[Member, ...]
    absent: tuple[str, ...] = ()
    numbers: range = range(0)
    strays: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    folder: str = ""
    stem: str = ""
    variant: str = ""
    how: str = "single"
    parts: tuple[str, ...] = ()
    weightless: tuple[str, ...] = ()

    @property
    def promised(self) -> int:
        """How many files the set should have."""
        return max(len(self.numbers), len(self.members) + len(self.absent))

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are promised and not there."""
        return self.absent + tuple(_missing_numbers(self.members, self.numbers))


def index_paths(paths: Iterable[str]) -> list[str]:
    """Which of these paths are indexes of safetensors shards."""
    return list(filter(is_index, paths))


def weight_paths(paths: Iterable[str]) -> list[str]:
    """Which of these paths are safetensors files, in natural order."""
    return sorted((path for path in paths if path.endswith(SUFFIX)), key=natural_key)


def find_sets(paths: Iterable[str], indexes: Mapping[str, Index]) -> list[FileSet]:
    """All sets among these weight files, in natural order of their names; each has one."""
    weights = weight_paths(paths)
    present = set(weights)
    found = [_indexed(path, indexes[path], present) for path in sorted(indexes, key=natural_key)]
    claimed = {member.path for one in found for member in one.members}
    found.extend(_grouped([path for path in weights if path not in claimed]))
    return sorted(_with_distinct_names(found), key=lambda one: natural_key(one.name))


def _indexed(path: str, index: Index, present: set[str]) -> FileSet:
    folder, _, name = path.rpartition("/")
    match = INDEX_NAME.fullmatch(name)
    stem, inner = _split_variant(match["stem"] if match else name)
    variant = inner or ((match["variant"] or "")[1:] if match else "")
    inside = sorted(filter(is_inside, index.shards), key=natural_key)
    shards = [_below(folder, shard) for shard in inside]
    strays = [shard for shard in index.shards if not is_inside(shard)]
    return FileSet(
        _below(folder, ".".join(filter(None, (stem, variant)))),
        tuple(Member(shard) for shard in shards if shard in present),
        tuple(shard for shard in shards if shard not in present),
        strays=tuple(strays),
        indexes=(path,),
        folder=folder,
        stem=stem,
        variant=variant,
        how="index",
    )


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _grouped(paths: Sequence[str]) -> list[FileSet]:
    """Sets of files without an index, by what their names have in common."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for path in paths:
        groups.setdefault(_group_key(path), []).append(path)
    return [_of_group(key, members) for key, members in groups.items()]


def _numbering(path: str) -> tuple[str, re.Match[str]] | None:
    """How a file is numbered among others, None where its name does not say."""
    stem = path.rpartition("/")[2].removesuffix(SUFFIX)
    matches = ((how, pattern.fullmatch(stem)) for how, pattern in _COMPILED)
    return next(((how, match) for how, match in matches if match), None)


def _group_key(path: str) -> tuple[str, ...]:
    """(folder, how, stem, variant, count): files with the same key may belong together."""
    folder, _, name = path.rpartition("/")
    numbering = _numbering(path)
    if numbering:
        how, match = numbering
        count = match.groupdict().get("count") or ""
        variant = match["rest"].strip("-_.")
        return folder, how, match["stem"].rstrip("-_."), variant, count.lstrip("0")
    stem = name.removesuffix(SUFFIX)
    if _NUMBERS.search(stem):
        return folder, "numbered", _NUMBERS.sub("*", stem), "", ""
    return folder, "single", *_split_variant(stem), ""


def _split_variant(stem: str) -> tuple[str, str]:
    """`model.fp16` -> (model, fp16); only after the names that loaders give variants to."""
    base, _, variant = stem.partition(".")
    return (base, variant) if variant and base in _USUAL else (stem, "")


def _of_group(key: tuple[str, ...], paths: Sequence[str]) -> FileSet:
    folder, how, stem, variant, count = key
    is_alone = len(paths) == 1 and how == "numbered"
    if is_alone:
        stem = paths[0].rpartition("/")[2].removesuffix(SUFFIX)
    if how == "part":
        variant = ""
    elif not variant:
        stem, variant = _split_variant(stem)
    return FileSet(
        _below(folder, ".".join(filter(None, (stem or how, variant)))),
        tuple(map(Member, paths)),
        numbers=_promised_numbers(paths, int(count or 0)) if how in ("shard", "part") else range(0),
        folder=folder,
        stem=stem,
        variant=variant,
        how="single" if is_alone else how,
    )


def _promised_numbers(paths: Sequence[str], count: int) -> range:
    """The numbers that a numbering promises: 1 to n, 0 to n - 1, or 0 to n (gpt-oss).

    Without a count (0) the numbers run from 0 to the highest that is there.
    """
    found = [numbering for numbering in map(_numbering, paths) if numbering]
    present = {int(match["number"]) for _, match in found}
    how, _ = found[0]
    first = 0 if 0 in present or how == "part" else 1
    last = count if first or count in present else count - 1
    last = last if count else max(present)
    return range(first, min(last, MAX_SHARDS) + 1)


def _missing_numbers(members: Sequence[Member], numbers: range) -> Iterator[str]:
    """The files of these numbers that are not there, named as the first that is."""
    found = [numbering for member in members if (numbering := _numbering(member.path))]
    if not numbers or not found:
        return
    present = {int(match["number"]) for _, match in found}
    folder, slash, name = members[0].path.rpartition("/")
    start, end = found[0][1].span("number")
    for number in numbers:
        if number not in present:
            yield f"{folder}{slash}{name[:start]}{number:0{end - start}d}{name[end:]}"


def _with_distinct_names(sets: Sequence[FileSet]) -> list[FileSet]:
    """The same sets, told apart where two would have one name."""
    counts = Counter(one.name for one in sets)
    distinct, used = [], set()
    turns: Counter[str] = Counter()
    for one in sets:
        base = name = one.name
        if counts[base] > 1 and one.promised != 1:
            base = name = f"{base}-sharded"
        while name in used:
            turns[base] += 1
            name = f"{base}-{turns[base] + 1}"
        used.add(name)
        distinct.append(one._replace(name=name))
    return distinct


def split_numbered(one: FileSet) -> list[FileSet]:
    """A set whose files turned out not to belong together, as one set a file."""
    return [
        FileSet(member.path.removesuffix(SUFFIX), (member,), folder=one.folder)
        for member in one.members
    ]


def join_components(
    name: str,
    held: Mapping[str, Sequence[FileSet]],
    weightless: Sequence[str],
    sizes: Mapping[str, int],
) -> FileSet:
    """One set of the preferred set of each component; `held` maps a component to its sets."""
    chosen = {component: preferred(sets, sizes)[0] for component, sets in held.items()}
    picked = list(chosen.values())
    return FileSet(
        name,
        tuple(
            Member(member.path, component)
            for component, one in chosen.items()
            for member in one.members
        ),
        tuple(path for one in picked for path in one.missing),
        strays=tuple(path for one in picked for path in one.strays),
        indexes=tuple(path for one in picked for path in one.indexes),
        how="components",
        parts=tuple(one.name for one in picked),
        weightless=tuple(weightless),
    )


def preferred(sets: Sequence[FileSet], sizes: Mapping[str, int]) -> tuple[FileSet, str]:
    """The set that a loader would take, and why; `sets` is not empty, sizes are bytes a path.

    Files before none, shallow before deep, the names that loaders look for, no variant; of these
    one file before shards. Of others the largest, and of equals the last: checkpoint-1000.
    """
    ranked = sorted(sets, key=lambda one: natural_key(one.name), reverse=True)
    best = min(ranked, key=lambda one: _rank(one, sizes))
    return best, _reason(best, sets, sizes)


def _rank(one: FileSet, sizes: Mapping[str, int]) -> tuple[int, ...]:
    is_usual = one.stem in _USUAL
    return (
        not one.members,
        one.folder.count("/") + bool(one.folder),
        _USUAL.index(one.stem) if is_usual else len(_USUAL),
        bool(one.variant),
        is_usual and not one.folder and one.promised > 1,
        -_nbytes(one, sizes),
    )


def _nbytes(one: FileSet, sizes: Mapping[str, int]) -> int:
    return sum(sizes.get(member.path, 0) for member in one.members)


def _reason(best: FileSet, sets: Sequence[FileSet], sizes: Mapping[str, int]) -> str:
    if len(sets) == 1:
        return "the only one"
    others = [one for one in sets if one is not best]
    if not any(one.members for one in others):
        return "no file of the others is there"
    if all(one.folder for one in others) and not best.folder:
        return "the others lie in folders of their own"
    beside = [one for one in others if one.folder == best.folder and one.members]
    if best.stem in _USUAL and beside:
        rivals = [one for one in beside if one.stem == best.stem]
        if not rivals:
            return f"loaders look for {best.stem}{SUFFIX} and its shards first"
        if any(one.variant for one in rivals) and not best.variant:
            return "loaders take no variant unless asked"
        if best.how == "single":
            return "loaders take one file before shards"
    largest = max(_nbytes(one, sizes) for one in others)
    if _nbytes(best, sizes) > largest:
        return f"the largest of {len(sets):,}"
    return f"the last of those of its size, of {len(sets):,}"


def other_weights(paths: Iterable[str]) -> list[str]:
    """Counts of the weight files of other formats: `3 .bin files (PyTorch pickles)`."""
    counts: dict[str, int] = {}
    for path in paths:
        ending = path[path.rfind(".") :].lower()
        if ending in OTHER_WEIGHTS:
            counts[ending] = counts.get(ending, 0) + 1
    return [
        f"{count:,} {ending} file{'s' * (count != 1)} ({OTHER_WEIGHTS[ending]})"
        for ending, count in sorted(counts.items())
    ]
