"""How far a reading came, kept in the cache, so that the next one goes on from there.

What is kept is keyed by what would change if a file did: of local files device, inode, size and
time, of others the digest or the commit. Where nothing tells that, nothing is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from ckptscan.checkpoint import Checkpoint
from ckptscan.content.values import Sample
from ckptscan.sources import Filling, Source
from ckptscan.sources.cache import Shelf

VERSION = 1
MOST = 256 << 20  # bytes of a state; 92,000 tensors take 25 MB
SECONDS = 30.0  # between two states that are kept

State = Mapping[str, Any]


def stamps(source: Source, checkpoint: Checkpoint) -> dict[str, str]:
    """What tells each weight file from a later version of it; empty where nothing does."""
    shards = checkpoint.table.shards
    if not isinstance(source, Filling):
        return {one.path: one.digest or checkpoint.origin.commit or "" for one in shards}
    found = {}
    for shard in shards:
        opened = source.open_file(shard.path)
        try:
            found[shard.path] = opened.stamp()
        finally:
            opened.close()
    return found


class Memory:
    """The state of one reading, under a key of its own in the cache."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._shelf = Shelf("tensors", "content")

    def load(self) -> State | None:
        """What an earlier reading came to, None where there was none."""
        raw = self._shelf.progress(self._key)
        try:
            found = json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def save(self, state: State) -> bool:
        """Keep it; whether it was not too much, and can be read again."""
        raw = json.dumps(state, separators=(",", ":")).encode()
        if len(raw) > MOST:
            return False
        self._shelf.keep_progress(self._key, raw)
        self._shelf.settle()
        return self._shelf.progress(self._key) == raw

    def drop(self) -> None:
        """Forget it."""
        self._shelf.drop_progress(self._key)


def memory_of(
    checkpoint: Checkpoint,
    stamped: Mapping[str, str],
    sample: Sample | None,
    block: int,
    purpose: str = "",
) -> Memory | None:
    """Where the state of such a reading is kept, None where it can't be told from a later one.

    Readings with another `purpose` keep other states.
    """
    import numpy as np

    if not stamped or not all(stamped.values()):
        return None
    table = checkpoint.table
    told = sha256()
    for part in (VERSION, np.__version__, str(sample), block, checkpoint.origin.title, purpose):
        told.update(f"{part}\0".encode("utf-8", "surrogatepass"))
    for shard in table.shards:
        line = f"{shard.path}\0{shard.file_size}\0{shard.header_size}\0{stamped[shard.path]}\0"
        told.update(line.encode("utf-8", "surrogatepass"))
    told.update("\0".join(table.names).encode("utf-8", "surrogatepass"))
    told.update(repr(table.kinds).encode("utf-8", "surrogatepass"))
    for column in (table.codes, table.starts, table.ends):
        told.update(column.tobytes())
    return Memory(told.hexdigest())
