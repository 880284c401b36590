"""What an index says of each tensor, beside what the headers of its files say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.paths import is_inside


class Comparison(NamedTuple):
    """Per shard: tensors that only the index has there, and those that only the header has."""

    absent: Mapping[str, list[str]]
    unlisted: Mapping[str, list[str]]


def compare(checkpoint: Checkpoint, path: str) -> Comparison:
    """An index against the headers of the files it names; files that do not read prove nothing."""
    weight_map, named = checkpoint.indexes[path].weight_map, promised(checkpoint, path)
    broken = {file for file, fault in checkpoint.faults if fault.error}
    shards = [shard for shard in checkpoint.table.shards if shard.path in named]
    matched = 0
    absent: dict[str, list[str]] = {}
    unlisted: dict[str, list[str]] = {}
    for shard in shards:
        said = named[shard.path]
        names = checkpoint.table.names[shard.rows.start : shard.rows.stop]
        # counted at C speed: 8 ms for 92,000 names where all is well, 20 ms one by one
        if [*map(weight_map.get, names)].count(said) == len(names):
            matched += len(names)
            continue
        strange = [name for name in names if weight_map.get(name) != said]
        matched += len(names) - len(strange)
        unlisted[shard.path] = strange
    if matched < len(weight_map):
        held = {
            named[shard.path]: set(checkpoint.table.names[shard.rows.start : shard.rows.stop])
            for shard in shards
            if shard.path not in broken
        }
        for name, said in weight_map.items():
            if said in held and name not in held[said]:
                absent.setdefault(said, []).append(name)
    return Comparison(absent, unlisted)


def promised(checkpoint: Checkpoint, path: str) -> dict[str, str]:
    """Paths below the root of the files that an index names, each with how it names them."""
    folder = path.rpartition("/")[0]
    shards = filter(is_inside, checkpoint.indexes[path].shards)
    return {f"{folder}/{shard}" if folder else shard: shard for shard in shards}
