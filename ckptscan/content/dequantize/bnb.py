"""bitsandbytes: a table's entry times the largest magnitude of a block of the flattened weight.

Two codes a byte, the first in the upper half, or one of 8 bits; the table is stored as `quant_map`.
With nested statistics the blocks' magnitudes are codes themselves, with blocks of 256 and an offset
that `quant_state` tells: functional.py, QuantState.from_dict and dequantize_4bit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckptscan.content.dequantize.values import (
    Coded,
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    bits_of,
)
from ckptscan.content.formats import halves_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers, Raw

_STATES = tuple(f"weight.quant_state.bitsandbytes__{name}" for name in ("nf4", "fp4"))
_MOST_STATE = 1 << 16  # bytes; real ones have about 100
_NESTED = "weight.nested_absmax"
_NESTED_BLOCK = 256  # functional.py, quantize_4bit with compress_statistics


def _block(stored: Stored) -> int:
    group = stored.packing.group
    if not isinstance(group, int):
        raise NoFormula("the size of its blocks is not known")
    return group


def _run(stored: Stored, lines: Lines) -> tuple[int, int]:
    """The first weight of the lines and the one after them, in the flattened weight."""
    rows, wide = stored.logical[-2:]
    first = (lines.matrix * rows + lines.start) * wide
    return first, first + (lines.stop - lines.start) * wide


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    start, stop = _run(stored, lines)
    share = 8 // bits_of(stored)
    block = _block(stored)
    size = (stored.bundle.kinds["weight.absmax"].dtype.bits or 8) // 8
    first, last = start // block, (stop - 1) // block
    state = stored.bundle.first(*_STATES)
    if state is not None and stored.bundle.kinds[state].nbytes > _MOST_STATE:
        raise NoFormula(f"{state} is too large for what it is")
    beside = ("weight.quant_map", _NESTED, "weight.nested_quant_map", *filter(None, (state,)))
    return (
        Part("weight", start // share, -(-stop // share) - start // share),
        Part("weight.absmax", first * size, (last + 1 - first) * size),
        *stored.whole(*beside),
    )


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    start, stop = _run(stored, lines)
    codes = raw["weight"]
    if bits_of(stored) == 4:
        pairs = np.stack((codes >> 4, codes & 0xF), axis=1).reshape(-1)
        codes = pairs[start % 2 : start % 2 + stop - start]
    block = _block(stored)
    places = np.arange(start, stop) // block - start // block
    entries = stored.read("weight.quant_map", raw).astype("<f4")
    if codes.max(initial=0) >= len(entries):
        raise NoFormula("quant_map has too few entries")
    largest, slack = (one[places] for one in _magnitudes(stored, start // block, raw))
    shape = lines.size, -1
    return Coded(codes.reshape(shape), entries, largest.reshape(shape), slack=slack.reshape(shape))


def _magnitudes(stored: Stored, first: int, raw: Raw) -> tuple[Numbers, Numbers]:
    """The largest magnitude of each block from the first one on, and how far it may be off."""
    import numpy as np

    held = stored.read("weight.absmax", raw)
    if _NESTED not in raw:
        return held.astype("<f4"), np.zeros(len(held), "<f4")
    offset, block = _nested(raw)
    entries, sizes = (
        stored.read(leaf, raw).astype("<f4") for leaf in ("weight.nested_quant_map", _NESTED)
    )
    places = (first + np.arange(len(held))) // block
    if places.max(initial=0) >= len(sizes) or held.max(initial=0) >= len(entries):
        raise NoFormula("nested_absmax has too few entries")
    reach = halves_of(entries.astype("f8"))[held]
    return entries[held] * sizes[places] + np.float32(offset), reach * np.abs(sizes[places])


def _nested(raw: Raw) -> tuple[float, int]:
    """The offset of nested statistics and their block, as `quant_state` tells them."""
    state = next((raw[name] for name in _STATES if name in raw), None)
    if state is None:
        raise NoFormula("nested statistics without a quant_state, which tells their offset")
    said = _document(state)
    offset, block = said.get("nested_offset"), said.get("nested_blocksize", _NESTED_BLOCK)
    if not isinstance(offset, int | float) or type(block) is not int or block < 1:
        raise NoFormula("quant_state tells no offset of nested statistics")
    return float(offset), block


def _document(state: NDArray[np.uint8]) -> dict[str, object]:
    try:
        said = json.loads(state.tobytes())
    except (ValueError, RecursionError) as err:
        raise NoFormula("quant_state is no JSON") from err
    return said if isinstance(said, dict) else {}


BNB_BLOCKS = Formula(-2, _parts, _decoded)
