"""An index file (`model.safetensors.index.json`) -> the shards it names.

Telling which files make a set needs only the distinct values of `weight_map`; the map itself, and
the proof of it against the shards, is parsed when somebody asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_INDEX = 512 << 20  # bytes; the largest known index has 60 MB (huggingface.js, a source comment)

_WEIGHT_MAP = re.compile(rb'"weight_map"[ \t\n\r]*:[ \t\n\r]*\{')
# `"name": "file"` and what may stand between two of them
_PAIR = re.compile(rb'"[^"]*"([ \t\n\r]*:[ \t\n\r]*)"[^"]*"([ \t\n\r]*,[ \t\n\r]*)')
_SPACE = b" \t\n\r"
_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b"\\"))


@dataclass(frozen=True)
class Index:
    """What an index says: the shards it names, how many entries it has, and its metadata.

    `problem` is the one line that says why it can't be used, None where it can.
    """

    shards: tuple[str, ...] = ()
    tensors: int = 0
    metadata: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None


def read_index(raw: bytes) -> Index:
    """The index in these bytes; never raises."""
    try:
        return _read_regular(raw) or _read_as_json(json.loads(raw.decode("utf-8")))
    except UnicodeDecodeError:
        return Index(problem="the index is not UTF-8")
    except json.JSONDecodeError as error:
        return Index(problem=f"the index is not JSON: {error.msg} at character {error.pos:,}")
    except (RecursionError, ValueError):
        return Index(problem="the index is not JSON: nested too deep, or an absurd number")


def read_weight_map(raw: bytes) -> dict[str, str]:
    """Tensor name -> shard, the whole map; raises ValueError where it is no sound index."""
    document = json.loads(raw.decode("utf-8"))
    index = _read_as_json(document)
    if index.problem:
        raise ValueError(index.problem)
    return dict(document["weight_map"])


def _read_regular(raw: bytes) -> Index | None:
    """The index where all entries are written alike, with plain names; None for any other.

    Proved by one regular expression, a run of entries of the same shard at a time; takes half the
    time of json (DeepSeek-V3: 8.9 MB, 92,000 names). A name that stands twice counts twice: proving
    that names are distinct would cost the gain.
    """
    opening = _WEIGHT_MAP.search(raw)
    end = raw.find(b"}", opening.end()) if opening else -1
    if opening is None or end < 0:
        return None
    try:
        around = (raw[: opening.end()] + raw[end:]).decode("utf-8")
        document = json.loads(around)
    except (RecursionError, ValueError):  # a brace inside a name, or no JSON at all
        return None
    if not isinstance(document, dict) or document.get("weight_map") != {}:
        return None
    if "\\" in around or around.count('"weight_map"') != 1:
        return None
    entries = raw[opening.end() : end].strip(_SPACE)
    first = _PAIR.match(entries)
    shards = _shards(entries, first) if first else None
    if first is None or shards is None:
        return None
    count = entries.count(b'"') // 4
    # characters that are not plain stand between names alone: a line break after each, say
    odd = [text.translate(None, _PLAIN) for text in (entries, *first.groups())]
    if odd[0] + odd[2] != (odd[1] + odd[2]) * count:
        return None
    return _facts(document, shards, count)


def _shards(entries: bytes, first: re.Match[bytes]) -> list[str] | None:
    """The values of `"name": "file", ...` in the order of their runs; None for any other text."""
    between, after = map(re.escape, first.groups())
    start = b'"[^"]*"' + between + b'"'
    run = re.compile(start + b'([^"]*)"(?:' + after + start + b'\\1")*')
    found, position = [], 0
    while match := run.match(entries, position):
        found.append(match[1].decode("ascii", "replace"))
        position = match.end()
        if position == len(entries):
            return found
        if not entries.startswith(first[2], position):
            break
        position += len(first[2])
    return None


def _read_as_json(document: object) -> Index:
    if not isinstance(document, dict):
        return Index(problem="the index is not a JSON object")
    weight_map = document.get("weight_map")
    if not isinstance(weight_map, dict):
        return Index(problem="the index has no weight_map")
    if not all(isinstance(shard, str) for shard in weight_map.values()):
        return Index(problem="the index maps a tensor to something that is no file name")
    return _facts(document, list(weight_map.values()), len(weight_map))


def _facts(document: Mapping[str, object], shards: list[str], tensors: int) -> Index:
    metadata = document.get("metadata")
    return Index(
        tuple(dict.fromkeys(shards)), tensors, metadata if isinstance(metadata, dict) else {}
    )
