"""An index file (`model.safetensors.index.json`) -> the shards it names.

Telling which files make a set needs only the distinct values of `weight_map`; the map itself, and
the proof of it against the shards, is parsed when somebody asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

MAX_INDEX = 512 << 20  # bytes; the largest known index has 60 MB (huggingface.js, a source comment)

# model.safetensors.index.json, model.fp16.safetensors.index.json, model.safetensors.index.fp16.json
INDEX_NAME = re.compile(r"(?P<stem>.+?)\.safetensors\.index(?P<variant>\.[^.]+)?\.json")
# bytes of an entry beside its name and offsets: 65 covered all of 823,207 tensors of 76 models;
# 8 more for writers that put a space after each comma and colon
_ENTRY = 65 + 8
_HEAD = 8 + 70  # the length, the braces, the usual __metadata__

_WEIGHT_MAP = re.compile(rb'"weight_map"[ \t\n\r]*:[ \t\n\r]*\{')
# `"name": "file"` and what may stand between two of them
_PAIR = re.compile(rb'"[^"]*"([ \t\n\r]*:[ \t\n\r]*)"[^"]*"([ \t\n\r]*,[ \t\n\r]*)')
_SPACE = b" \t\n\r"
_PLAIN = bytes(set(range(0x20, 0x7F)) - set(b"\\"))


@dataclass(frozen=True)
class Index:
    """What an index says: the shards it names, how many entries it has, and its metadata.

    `contents` tells of each shard how many entries name it, and how many bytes their quoted names
    have. `problem` is the one line that says why it can't be used, None where it can. `raw` are the
    bytes of the file.
    """

    shards: tuple[str, ...] = ()
    tensors: int = 0
    metadata: Mapping[str, object] = field(default_factory=dict)
    problem: str | None = None
    contents: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    raw: bytes = field(default=b"", repr=False, compare=False)

    @cached_property
    def weight_map(self) -> Mapping[str, str]:
        """Tensor name -> shard, parsed on first use; empty where the index can't be used."""
        if self.problem or not self.raw:
            return {}
        # proved sound when it was read: 40 ms for 92,000 names, 90 ms with the proof again
        found: Mapping[str, str] = json.loads(self.raw.decode("utf-8"))["weight_map"]
        return found

    def expected_head(self, shard: str, file_size: int) -> int | None:
        """How many bytes from the start of a shard hold its header, at most; None for a stranger.

        An entry is its quoted name and the longest text of dtype, shape and offsets that is common.
        """
        if shard not in self.contents:
            return None
        tensors, names = self.contents[shard]
        return _HEAD + names + tensors * (_ENTRY + 2 * len(str(file_size)))


def is_index(path: str) -> bool:
    """Whether a file is called as indexes of safetensors shards are."""
    return bool(INDEX_NAME.fullmatch(path.rpartition("/")[2]))


def read_index(raw: bytes) -> Index:
    """The index in these bytes; never raises."""
    try:
        found = _read_regular(raw) or _read_as_json(json.loads(raw.decode("utf-8")))
        return replace(found, raw=raw)
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
    contents = _contents(entries, first) if first else None
    if first is None or contents is None:
        return None
    count = entries.count(b'"') // 4
    # characters that are not plain stand between names alone: a line break after each, say
    odd = [text.translate(None, _PLAIN) for text in (entries, *first.groups())]
    if odd[0] + odd[2] != (odd[1] + odd[2]) * count:
        return None
    return _facts(document, contents, count)


def _contents(entries: bytes, first: re.Match[bytes]) -> dict[str, tuple[int, int]] | None:
    """The values of `"name": "file", ...` in the order of their runs; None for any other text."""
    between, after = map(re.escape, first.groups())
    start = b'"[^"]*"' + between + b'"'
    run = re.compile(start + b'([^"]*)"(?:' + after + start + b'\\1")*')
    found: dict[str, tuple[int, int]] = {}
    position = 0
    while match := run.match(entries, position):
        shard = match[1].decode("ascii", "replace")
        count = entries.count(b'"', position, match.end()) // 4
        beside = len(first[1]) + len(match[1]) + 2 + len(first[2])
        names = match.end() - position + len(first[2]) - count * beside
        tensors_before, names_before = found.get(shard, (0, 0))
        found[shard] = tensors_before + count, names_before + names
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
    contents: dict[str, tuple[int, int]] = {}
    for name, shard in weight_map.items():
        tensors, names = contents.get(shard, (0, 0))
        contents[shard] = tensors + 1, names + len(json.dumps(name))
    return _facts(document, contents, len(weight_map))


def _facts(
    document: Mapping[str, object], contents: Mapping[str, tuple[int, int]], tensors: int
) -> Index:
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return Index(tuple(contents), tensors, metadata, contents=contents)
