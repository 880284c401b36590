"""One stored element a weight, times the scale of its block: FP8, INT8, FP6, torchao, Quanto, EETQ.

weight = (element - zero point) x scale. `weight_scale_inv` is a factor as well: DeepSeek-V3
inference/kernel.py, weight_dequant. Zero points: compressed-tensors quantization/lifecycle/
forward.py, _dequantize. EETQ is stored as (in, out) with a scale an output: transformers
integrations/eetq.py. bitsandbytes' SCB is 127 times the scale: functional.py,
int8_vectorwise_dequant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_part, grid_values
from ckptscan.content.dequantize.values import (
    Coded,
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    whole_bytes,
)
from ckptscan.structure.packing.scaled import SCALES

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Raw

_ELEMENTS = ("weight", "weight_qdata", "weight._data")
_FACTORS = (*SCALES, "weight._scale")
_ZEROS = "weight_zero_point"
_INDEX = "weight_g_idx"
_EXPONENTS = "F8_E8M0"  # what U8 beside FP8 and FP6 are: MX formats


def _leaf(stored: Stored) -> str:
    found = stored.bundle.first(*_ELEMENTS)
    if found is None or stored.shape(found) != stored.logical:
        raise NoFormula("its elements are not one a weight")
    return found


def _grids(stored: Stored) -> list[str]:
    scale = stored.bundle.first(*_FACTORS)
    return [leaf for leaf in (scale, _ZEROS) if leaf is not None and leaf in stored.bundle.kinds]


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    held = lines.whole if _INDEX in stored.bundle.kinds else lines
    grids = (grid_part(stored, leaf, held) for leaf in _grids(stored))
    return _rows(stored, _leaf(stored), lines), *grids, *stored.whole(_INDEX)


def _rows(stored: Stored, leaf: str, lines: Lines, axis: int = -1) -> Part:
    """The bytes of elements that are one a weight; a line lies along this axis."""
    of = lines.bits(stored.bits(leaf), stored.logical[axis])
    return stored.rows(leaf, lines.matrix, lines.start, lines.stop, of)


def _tile(stored: Stored) -> int:
    """Elements that end with a byte."""
    return whole_bytes(stored.bits(_leaf(stored)))


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    found = _elements(stored, _leaf(stored), lines, raw)
    groups = None
    if _INDEX in raw:
        left, right = lines.within(stored.logical[-1])
        groups = stored.read(_INDEX, raw).astype("i8")[left:right]
    for grid in _grids(stored):
        dtype = _EXPONENTS if grid != _ZEROS and stored.bundle.dtype(grid) == "U8" else ""
        numbers = grid_values(stored, grid, lines, raw[grid], dtype, groups)
        is_zero = grid == _ZEROS
        found = found._replace(zero=numbers) if is_zero else found._replace(scale=numbers)
    return found


def _elements(stored: Stored, leaf: str, lines: Lines, raw: Raw) -> Coded:
    """The elements themselves, without scales."""
    import numpy as np

    codes, known = stored.elements(leaf, raw)
    return Coded(codes.reshape(lines.size, -1), known, np.ones((1, 1), "<f4"))


def _int8_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    return _rows(stored, "weight", lines), grid_part(stored, _scb(stored), lines)


def _int8_decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    scb = _scb(stored)
    scales = grid_values(stored, scb, lines, raw[scb]) / np.float32(127)
    return _elements(stored, "weight", lines, raw)._replace(scale=scales)


def _scb(stored: Stored) -> str:
    return stored.bundle.first("SCB", "weight.SCB") or "SCB"


def _eetq_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    return _rows(stored, "weight", lines, -2), *stored.whole("weight_scales")


def _eetq_decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    left, right = lines.within(stored.logical[-2])
    scales = stored.read("weight_scales", raw, 1, -1).astype("<f4")[:, left:right]
    return _elements(stored, "weight", lines, raw)._replace(scale=scales)


SCALED = Formula(-2, _parts, _decoded, tile=_tile)
BNB_INT8 = Formula(-2, _int8_parts, _int8_decoded, tile=lambda stored: 1)
EETQ = Formula(-1, _eetq_parts, _eetq_decoded, tile=lambda stored: 1)
