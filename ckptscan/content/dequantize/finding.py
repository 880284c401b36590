"""The packed weights of a checkpoint, each with the tensors that keep its books."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from ckptscan.content.dequantize.values import Part, Stored
from ckptscan.header import LENGTH
from ckptscan.sources import Range
from ckptscan.structure import Structure
from ckptscan.structure.packing import Packing, bundle_of
from ckptscan.structure.scene import quantization_of
from ckptscan.structure.summary import key_of
from ckptscan.table import TensorTable


class Found(NamedTuple):
    """A packed weight, and the rows of the table that hold its tensors, by their usual names."""

    stored: Stored
    rows: Mapping[str, int]

    def range_of(self, table: TensorTable, part: Part) -> Range:
        """Where bytes of one of the tensors lie in its file."""
        tensor = table[self.rows[part.leaf]]
        shard = table.shards[tensor.shard]
        begin = LENGTH + shard.header_size + tensor.start
        return Range(shard.path, begin + part.start, part.length)


class PackedWeights:
    """The packed weights of a checkpoint, by the rows of the tensors that hold their values."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._table = structure.checkpoint.table
        self._packings: dict[int, Packing] = {}
        for family in structure.families:
            packing = structure.packings.get(key_of(family))
            if packing is not None:
                self._packings.update(dict.fromkeys(family.rows, packing))

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._packings))

    @cached_property
    def _rows(self) -> dict[tuple[str, str], int]:
        """Component and name -> row; the first of those with one name."""
        found: dict[tuple[str, str], int] = {}
        for shard in self._table.shards:
            for row in shard.rows:
                found.setdefault((shard.component, self._table.names[row]), row)
        return found

    def at(self, row: int) -> Found | None:
        """The packed weight whose values this row holds, None where it holds none."""
        packing = self._packings.get(row)
        tensor = self._table[row]
        if packing is None or not tensor.name.endswith(packing.weight):
            return None
        component = self._table.shards[tensor.shard].component
        module = tensor.name.removesuffix(packing.weight)
        rows = {packing.weight: row}
        for leaf in packing.auxiliary:
            beside = self._rows.get((component, module + leaf))
            if beside is not None:
                rows[leaf] = beside
        kinds = {leaf: self._table.kinds[self._table.codes[own]] for leaf, own in rows.items()}
        bundle = bundle_of(kinds, packing.weight)
        config = self._structure.checkpoint.config_of(component)
        said = quantization_of(config, module.rstrip("."))
        usual = {name: rows[leaf] for name, leaf in bundle.own.items()}
        return Found(Stored(bundle, packing, said), usual)
