"""compressed-tensors' pack-quantized: each row a stream of codes of 1 to 8 bits in words of 32.

weight = (code - zero point) x scale. Half the range is added to codes and zero points before they
are packed, the latter along out: compressors/pack_quantized/helpers.py, pack_to_int32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_of, grid_part, grid_values
from ckptscan.content.dequantize.values import (
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    bits_of,
    unpacked,
)

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    parts = [
        stored.rows("weight_packed", lines.matrix, lines.start, lines.stop),
        grid_part(stored, "weight_scale", lines),
        *stored.whole("weight_g_idx"),
    ]
    if "weight_zero_point" in stored.bundle.kinds:
        zeros = stored.shape("weight_zero_point")
        parts.append(stored.rows("weight_zero_point", lines.matrix, 0, zeros[-2]))
    return tuple(parts)


def _values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    import numpy as np

    bits, wide = bits_of(stored), stored.logical[-1]
    codes = unpacked(raw["weight_packed"].reshape(lines.stop - lines.start, -1), bits, wide)
    groups = None
    if "weight_g_idx" in raw:
        groups = stored.read("weight_g_idx", raw).astype("i8")
    scales = grid_values(stored, "weight_scale", lines, raw["weight_scale"], "", groups)
    zeros: Numbers = np.full((1, 1), 1 << (bits - 1), "<f4")
    if "weight_zero_point" in raw:
        grid = grid_of(stored, "weight_scale")
        columns = np.arange(wide) // grid.wide if groups is None else groups
        zeros = _zeros(stored, lines, raw)[:, columns]
    found: Numbers = (codes.astype("<f4") - zeros) * scales
    return found


def _zeros(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    """Zero points of the lines; the half range on top of them and of the codes cancels."""
    import numpy as np

    columns = stored.shape("weight_zero_point")[-1]
    if columns != grid_of(stored, "weight_scale").cols:
        raise NoFormula("zero points and scales are not of the same groups")
    words = raw["weight_zero_point"].reshape(-1, columns, 4).transpose(1, 0, 2)
    packed = np.ascontiguousarray(words.reshape(columns, -1))
    codes = unpacked(packed, bits_of(stored), stored.logical[-2])
    found: Numbers = codes[:, lines.start : lines.stop].T.astype("<f4")
    return found


PACK_QUANTIZED = Formula(-2, _parts, _values)
