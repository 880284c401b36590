"""Peeking: the few bytes of a tensor that tell the shape of a packed weight, only when asked.

compressed-tensors keeps the shape of a packed weight as a tensor of two integers, bitsandbytes as
JSON in one of bytes; no header tells what they say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice

from ckptscan.checkpoint.values import Checkpoint
from ckptscan.header import LENGTH
from ckptscan.sources import Range, Source, read_ranges
from ckptscan.table import Tensor, TensorTable

# weight_shape; weight.quant_state.bitsandbytes__nf4
_TELLS = re.compile(r"(?:^|[._])(?:weight_shape|quant_state\.bitsandbytes__\w+)$")
MAX_BYTES = 4096  # of one tensor; real ones have 8, 16 or about 200
MAX_READS = 200_000
_WIDTHS = {"I32": 4, "I64": 8, "U32": 4, "U64": 8}


def peek(
    source: Source, checkpoint: Checkpoint, rows: Collection[int] | None = None
) -> dict[str, dict[str, object]]:
    """The values of the tensors that tell a packed shape, by component and name.

    `rows` are those that may be read, None for all.
    Reads at most MAX_BYTES of each and nothing of any other. What can't be understood is empty:
    it tells no shape. Raises SourceError.
    """
    found: dict[str, dict[str, object]] = {}
    tells: dict[Range, list[tuple[str, Tensor]]] = {}
    for where, whose in islice(_tells(checkpoint.table, rows), MAX_READS):
        tells.setdefault(where, []).append(whose)
    for where, raw in read_ranges(source, list(tells)):
        for component, tensor in tells[where]:
            found.setdefault(component, {})[tensor.name] = _value(tensor, raw)
    return found


def _tells(
    table: TensorTable, rows: Collection[int] | None
) -> Iterator[tuple[Range, tuple[str, Tensor]]]:
    """Where the values lie that tell a packed shape."""
    for shard in table.shards:
        data = LENGTH + shard.header_size
        for row in shard.rows:
            if (rows is None or row in rows) and _TELLS.search(table.names[row]):
                tensor = table[row]
                if 0 < tensor.nbytes <= MAX_BYTES:
                    where = Range(shard.path, data + tensor.start, tensor.nbytes)
                    yield where, (shard.component, tensor)


def _value(tensor: Tensor, raw: bytes) -> Mapping[str, object] | Sequence[int]:
    if len(raw) != tensor.nbytes:
        return ()
    width = _WIDTHS.get(tensor.dtype.name)
    if width is not None:
        steps = range(0, len(raw), width)
        return tuple(int.from_bytes(raw[at : at + width], "little", signed=True) for at in steps)
    try:
        document = json.loads(raw.decode("utf-8"))
    except (RecursionError, ValueError):
        return ()
    return document if isinstance(document, dict) else ()
