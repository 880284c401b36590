"""Config files of two checkpoints -> the keys that differ, as dotted paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ckptscan.checkpoint import Checkpoint
from ckptscan.config import Config
from ckptscan.diff.values import Setting
from ckptscan.names import natural_key

# files whose keys are compared, in this order
FILES = (
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "params.json",
    "hf_quant_config.json",
    "quantize_config.json",
    "model_index.json",
)
BESIDE = ("generation_config.json",)  # of these what a checkpoint does not load by itself
MOST_KEYS = 20_000  # of one file; a real config has a few hundred
MOST_CHARACTERS = 16 << 20  # of their paths together; one long key stands before all that it holds
MOST_SETTINGS = 1_000  # that differ and are told
_ABSENT = object()


def settings(a: Checkpoint, b: Checkpoint) -> tuple[Setting, ...]:
    """Every key that differs, file by file; a file of one side alone is told among the files."""
    found: list[Setting] = []
    for file, one, two in _documents(a, b):
        ours, theirs = _flat(one), _flat(two)
        for key in sorted(ours.keys() | theirs.keys(), key=natural_key):
            before, after = ours.get(key, _ABSENT), theirs.get(key, _ABSENT)
            if is_other(before, after) and len(found) < MOST_SETTINGS:
                found.append(_setting(file, key, before, after))
    return tuple(found)


def are_comparable(a: Checkpoint, b: Checkpoint) -> bool:
    """Whether there is a config file that both sides have."""
    return any(True for _ in _documents(a, b))


def _setting(file: str, key: str, before: object, after: object) -> Setting:
    in_a, in_b = before is not _ABSENT, after is not _ABSENT
    return Setting(file, key, before if in_a else None, after if in_b else None, in_a, in_b)


def is_other(before: object, after: object) -> bool:
    """Whether two values differ; 1 and true do, 1 and 1.0 do not."""
    if isinstance(before, bool) or isinstance(after, bool):
        return before is not after
    if before != before and after != after:  # NaN, which json reads
        return False
    return before != after


def _documents(
    a: Checkpoint, b: Checkpoint
) -> Iterator[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    """The config files that both sides have, those of components by component."""
    yield from _shared("", a.config, b.config)
    for component in a.configs:
        if component in b.configs:
            yield from _shared(f"{component}/", a.configs[component], b.configs[component])


def _shared(
    folder: str, one: Config, two: Config
) -> Iterator[tuple[str, Mapping[str, object], Mapping[str, object]]]:
    for name in FILES:
        if name in one.documents and name in two.documents:
            yield f"{folder}{name}", one.documents[name], two.documents[name]


def _flat(document: Mapping[str, object]) -> dict[str, object]:
    """The values of a document by dotted path; lists of plain values are one value."""
    found: dict[str, object] = {}
    waiting: list[tuple[str, str, object]] = [("", "", document)]
    written = 0
    while waiting and len(found) < MOST_KEYS and written < MOST_CHARACTERS:
        above, last, value = waiting.pop()
        path = above + last
        written += len(path)
        if isinstance(value, dict) and (value or not path):
            waiting += [
                (path, f".{key}" if path else key, held)
                for key, held in reversed(list(value.items()))
            ]
        elif isinstance(value, list) and any(isinstance(one, dict | list) for one in value):
            waiting += [
                (path, f"[{place}]", held) for place, held in reversed(list(enumerate(value)))
            ]
        else:
            found[path] = value
    return found
