"""A checkpoint as files that can be damaged: headers, index, configs, and the list of files."""

from __future__ import annotations

import copy
import json
import struct
from dataclasses import dataclass, field, replace
from typing import Any

from ckptscan.dtypes import DTYPES
from ckptscan.sources.base import FileEntry
from ckptscan.sources.memory import MemorySource
from tests.checks.damages import Documents, Tensors
from tests.conftest import pack

Entry = dict[str, Any]
ONE = "model.safetensors"


class SparseSource(MemorySource):
    """Files with a hole, which reads as zeros, where their data would be."""

    def read(self, path: str, start: int, length: int) -> bytes:
        """Bytes of a file, of the hole as well."""
        self.ranges.append((path, start, length))
        size = next((entry.size for entry in self.files() if entry.path == path), 0)
        length = max(0, min(start + length, size) - start)
        return (self.held(path) or b"")[start : start + length].ljust(length, b"\0")


@dataclass
class Shard:
    """One weight file: its header's entries, and how many bytes it claims to have."""

    entries: dict[str, Entry]
    metadata: dict[str, str] | None
    pad: int = 8
    more: int = 0  # bytes after the last tensor; negative for missing ones
    raw: bytes | None = None  # the beginning as it stands, for what no writer writes
    size: int | None = None  # with `raw`
    data: int | None = None  # bytes of data, where entries no longer tell

    def head(self) -> bytes:
        """The beginning of the file up to the end of its header."""
        if self.raw is not None:
            return self.raw
        document: dict[str, Any] = {} if self.metadata is None else {"__metadata__": self.metadata}
        text = json.dumps({**document, **self.entries}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % self.pad)
        return struct.pack("<Q", len(text)) + text

    def data_size(self) -> int:
        """Where the last tensor ends, from the end of the header on."""
        if self.data is not None:
            return self.data
        return max((entry["data_offsets"][1] for entry in self.entries.values()), default=0)

    def file_size(self, head: bytes) -> int:
        """The bytes of the file, of which only the beginning is held."""
        if self.size is not None:
            return self.size
        return max(len(head) + self.data_size() + self.more, 0)

    def lay(self) -> None:
        """Lay the tensors end to end, in their order."""
        reached = 0
        for entry in self.entries.values():
            count = 1
            for dim in entry["shape"]:
                count *= dim
            end = reached + -(-count * (DTYPES[entry["dtype"]].bits or 8) // 8)
            entry["data_offsets"] = [reached, end]
            reached = end


@dataclass
class Whole:
    """All files of a checkpoint."""

    shards: dict[str, Shard]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)  # json files, by path
    others: dict[str, bytes] = field(default_factory=dict)
    listed: dict[str, int] = field(default_factory=dict)  # files of which nothing is held
    kept: dict[str, tuple[bytes, int]] = field(default_factory=dict)  # untouched weight files

    @property
    def index(self) -> dict[str, Any] | None:
        """The index document, None without one."""
        path = self.index_path
        return None if path is None else self.documents[path]

    @property
    def index_path(self) -> str | None:
        """Where the index lies."""
        found = [path for path in self.documents if path.endswith(".safetensors.index.json")]
        return found[0] if found else None

    @property
    def chosen(self) -> list[Shard]:
        """The weight files that a loader takes: of two sets the one with an index."""
        index = self.index
        named = set(index["weight_map"].values()) if index else set(self.shards)
        return [shard for path, shard in self.shards.items() if path in named]

    @property
    def config(self) -> dict[str, Any]:
        """config.json, or an empty one that is no part of the checkpoint."""
        return self.documents.get("config.json", {})

    @property
    def is_parallel(self) -> bool:
        """Whether files repeat each other's names, as the parts of ranks do."""
        names = [name for shard in self.shards.values() for name in shard.entries]
        return len(set(names)) < len(names)

    def copy(self) -> Whole:
        """The same again, with nothing shared that a damage changes."""
        return Whole(
            {
                path: replace(
                    shard,
                    entries={
                        name: {**entry, "shape": list(entry["shape"])}
                        for name, entry in shard.entries.items()
                    },
                    metadata=None if shard.metadata is None else dict(shard.metadata),
                )
                for path, shard in self.shards.items()
            },
            copy.deepcopy(self.documents),
            dict(self.others),
            dict(self.listed),
            self.kept,
        )

    def tensors(self) -> Tensors:
        """All tensors by name."""
        return {
            name: (entry["dtype"], tuple(entry["shape"]))
            for shard in self.shards.values()
            for name, entry in shard.entries.items()
        }

    def take(self, tensors: Tensors) -> None:
        """Make the files hold these tensors: soundly laid out, with an index that is right."""
        held = self.tensors()
        last = next(reversed(self.shards.values()))
        for shard in self.shards.values():
            changed = {n for n in shard.entries if n not in tensors or tensors[n] != held[n]}
            new = [name for name in tensors if name not in held] if shard is last else []
            if not changed and not new:
                continue
            kept = {name: entry for name, entry in shard.entries.items() if name in tensors}
            kept.update((name, {}) for name in new)
            shard.entries = {
                name: {"dtype": tensors[name][0], "shape": list(tensors[name][1])} for name in kept
            }
            shard.lay()
        self.reindex()

    def reindex(self) -> None:
        """Make the index right again."""
        path = self.index_path
        if path is None:
            return
        before = self.documents[path]
        named = set(before["weight_map"].values())
        self.documents[path] = {
            **before,
            "metadata": {
                **before.get("metadata", {}),
                "total_size": sum(
                    shard.data_size() for path, shard in self.shards.items() if path in named
                ),
            },
            "weight_map": {
                name: path
                for path, shard in self.shards.items()
                if path in named
                for name in shard.entries
            },
        }

    def named(self) -> Documents:
        """The documents by their names without an ending, as the damages of configs want them."""
        return {path.removesuffix(".json"): one for path, one in self.documents.items()}

    def source(self, untouched: Whole | None = None) -> SparseSource:
        """The files; headers that stand in `untouched` too are not written again."""
        held: dict[str, bytes] = dict(self.others)
        entries = [FileEntry(path, size) for path, size in self.listed.items()]
        for path, shard in self.shards.items():
            if untouched is not None and untouched.shards.get(path) == shard:
                head, size = untouched.kept[path]
            else:
                head = shard.head()
                size = shard.file_size(head)
            held[path] = head[:size]
            entries.append(FileEntry(path, size))
        held |= {path: json.dumps(one).encode() for path, one in self.documents.items()}
        return SparseSource(held, entries)


def whole_of(model: str) -> Whole:
    """A pack of a real model, as files to damage."""
    source = pack(model)
    found = Whole({})
    for entry in source.files():
        held = source.held(entry.path)  # type: ignore[attr-defined]
        if held is None:
            found.listed[entry.path] = entry.size
        elif entry.path.endswith(".safetensors"):
            document = json.loads(held[8:])
            metadata = document.pop("__metadata__", None)
            found.shards[entry.path] = Shard(document, metadata, 1 if len(held) % 8 else 8)
            found.kept[entry.path] = held, entry.size
        elif entry.path.endswith(".json"):
            found.documents[entry.path] = json.loads(held)
        else:
            found.others[entry.path] = held
    return found


def largest(whole: Whole, least: int = 2) -> list[str]:
    """Paths of shards with at least so many tensors."""
    return [path for path, shard in whole.shards.items() if len(shard.entries) >= least]


def single(tensors: Tensors, **documents: dict[str, Any]) -> Whole:
    """One file of these tensors and its configs."""
    shard = Shard({n: {"dtype": d, "shape": list(s)} for n, (d, s) in tensors.items()}, None)
    shard.metadata = {"format": "pt"}
    shard.lay()
    head = shard.head()
    documents = {f"{name}.json": one for name, one in documents.items()}
    return Whole({ONE: shard}, documents, kept={ONE: (head, shard.file_size(head))})
