"""Sources that lie: bits that flip, files that shrink, people who interrupt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from ckptscan.checkpoint import load
from ckptscan.sources import FileEntry, Origin
from ckptscan.sources.memory import MemorySource
from ckptscan.structure import Structure, describe
from ckptscan.verify.values import Probe, Verification
from tests.content.making import FILE, Arrays, raw_file

Change = Callable[[int, int, bytes], bytes]  # how often it was read, where, what is there


class Lying:
    """A source in memory whose bytes are changed after its header was read."""

    def __init__(self, raw: bytes, change: Change | None = None) -> None:
        self._held = MemorySource({FILE: raw})
        self.change = change
        self.times: dict[int, int] = {}
        self.ranges: list[tuple[int, int]] = []

    @property
    def origin(self) -> Origin:
        return self._held.origin

    def files(self) -> list[FileEntry]:
        return list(self._held.files())

    def read(self, path: str, start: int, length: int) -> bytes:
        raw = self._held.read(path, start, length)
        self.ranges.append((start, length))
        if self.change is None:
            return raw
        self.times[start] = self.times.get(start, 0) + 1
        return self.change(self.times[start], start, raw)


def lying(arrays: Arrays) -> tuple[Lying, Structure]:
    """A source of these tensors, and their structure; it tells the truth so far."""
    source = Lying(raw_file(arrays))
    structure = describe(load(source))
    source.ranges.clear()
    return source, structure


def one_tensor(dtype: str, shape: Sequence[int], raw: bytes) -> bytes:
    """A file of the tensor `t.weight`, of any dtype."""
    entry = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, len(raw)]}
    head = json.dumps({"t.weight": entry}).encode()
    return len(head).to_bytes(8, "little") + head + raw


def begins(structure: Structure) -> Mapping[str, tuple[int, int]]:
    """Where each tensor begins and ends in its file."""
    table = structure.checkpoint.table
    data = 8 + table.shards[0].header_size
    return {one.name: (data + one.start, data + one.end) for one in table}


def of_name(found: Verification, name: str) -> Probe:
    """What was found of a tensor."""
    return next(probe for probe in found.probes if probe.name == name)


def faults(found: Verification) -> dict[str, tuple[str, ...]]:
    """The tensors with faults."""
    return {probe.name: probe.faults for probe in found.probes if probe.faults}
