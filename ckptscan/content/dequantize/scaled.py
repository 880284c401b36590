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
from ckptscan.content.dequantize.values import Formula, Lines, NoFormula, Part, Stored
from ckptscan.structure.packing.scaled import SCALES

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw

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
    rows = stored.rows(_leaf(stored), lines.matrix, lines.start, lines.stop)
    grids = (grid_part(stored, leaf, lines) for leaf in _grids(stored))
    return rows, *grids, *stored.whole(_INDEX)


def _values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    leaf = _leaf(stored)
    found: Numbers = stored.read(leaf, raw, -1, stored.logical[-1]).astype("<f4")
    groups = stored.read(_INDEX, raw).astype("i8") if _INDEX in raw else None
    for grid in reversed(_grids(stored)):
        if grid == _ZEROS:
            found = found - grid_values(stored, grid, lines, raw[grid], groups=groups)
        else:
            dtype = _EXPONENTS if stored.bundle.dtype(grid) == "U8" else ""
            found = found * grid_values(stored, grid, lines, raw[grid], dtype, groups)
    return found


def _int8_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    rows = stored.rows("weight", lines.matrix, lines.start, lines.stop)
    return rows, grid_part(stored, _scb(stored), lines)


def _int8_values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    import numpy as np

    scb = _scb(stored)
    elements: Numbers = stored.read("weight", raw, -1, stored.logical[-1]).astype("<f4")
    found: Numbers = elements * (grid_values(stored, scb, lines, raw[scb]) / np.float32(127))
    return found


def _scb(stored: Stored) -> str:
    return stored.bundle.first("SCB", "weight.SCB") or "SCB"


def _eetq_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    rows = stored.rows("weight", lines.matrix, lines.start, lines.stop)
    return rows, *stored.whole("weight_scales")


def _eetq_values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    elements: Numbers = stored.read("weight", raw, -1, stored.logical[-2]).astype("<f4")
    scales: Numbers = stored.read("weight_scales", raw, 1, -1)
    return elements * scales


SCALED = Formula(-2, _parts, _values)
BNB_INT8 = Formula(-2, _int8_parts, _int8_values)
EETQ = Formula(-1, _eetq_parts, _eetq_values)
