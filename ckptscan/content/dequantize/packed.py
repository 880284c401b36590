"""compressed-tensors' pack-quantized: each row a stream of codes of 1 to 8 bits in words of 32.

weight = (code - zero point) x scale. Half the range is added to codes and zero points before they
are packed, the latter along out: compressors/pack_quantized/helpers.py, pack_to_int32.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_of, grid_part, grid_values
from ckptscan.content.dequantize.values import (
    Coded,
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    bits_of,
    integers,
    unpacked,
    whole_bytes,
)

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw


_INDEX = "weight_g_idx"


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    bits = bits_of(stored)
    of = lines.bits(bits, stored.logical[-1])
    held = lines.whole if _INDEX in stored.bundle.kinds else lines
    parts = [
        stored.rows("weight_packed", lines.matrix, lines.start, lines.stop, of),
        grid_part(stored, "weight_scale", held),
        *stored.whole(_INDEX),
    ]
    if "weight_zero_point" in stored.bundle.kinds:
        first, last = _words(bits, lines)
        words = stored.shape("weight_zero_point")[-2]
        parts.append(stored.rows("weight_zero_point", lines.matrix, first, min(last, words)))
    return tuple(parts)


def _words(bits: int, lines: Lines) -> tuple[int, int]:
    """The words that hold the zero points of lines, from one on that a code begins with."""
    step = 32 // gcd(32, bits)
    return lines.start // step * step * bits // 32, -(-lines.stop * bits // 32)


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    bits = bits_of(stored)
    left, right = lines.within(stored.logical[-1])
    codes = unpacked(raw["weight_packed"].reshape(lines.size, -1), bits, right - left)
    groups = None
    if _INDEX in raw:
        groups = stored.read(_INDEX, raw).astype("i8")[left:right]
    scales = grid_values(stored, "weight_scale", lines, raw["weight_scale"], "", groups)
    zeros: Numbers = np.full((1, 1), 1 << (bits - 1), "<f4")
    if "weight_zero_point" in raw:
        grid = grid_of(stored, "weight_scale")
        columns = np.arange(left, right) // grid.wide if groups is None else groups
        zeros = _zeros(stored, lines, raw)[:, columns]
    return Coded(codes, integers(bits), scales, zeros)


def _zeros(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    """Zero points of the lines; the half range on top of them and of the codes cancels."""
    import numpy as np

    columns = stored.shape("weight_zero_point")[-1]
    if columns != grid_of(stored, "weight_scale").cols:
        raise NoFormula("zero points and scales are not of the same groups")
    words = raw["weight_zero_point"].reshape(-1, columns, 4).transpose(1, 0, 2)
    packed = np.ascontiguousarray(words.reshape(columns, -1))
    bits = bits_of(stored)
    first = lines.start - _words(bits, lines)[0] * 32 // bits
    codes = unpacked(packed, bits, first + lines.size)
    found: Numbers = codes[:, first:].T.astype("<f4")
    return found


PACK_QUANTIZED = Formula(-2, _parts, _decoded, tile=lambda stored: whole_bytes(bits_of(stored)))
