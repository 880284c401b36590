"""Two FP4 values a byte, the first in the lower half, with a scale for 16 or 32 along in.

MXFP4's scales are exponents of two: OCP Microscaling 1.0; gpt-oss torch/weights.py, where the lower
half comes first. NVFP4's are F8_E4M3, times one number for the tensor: ModelOpt's `weight_scale_2`
multiplies, compressed-tensors' `weight_global_scale` divides (compressors/nvfp4, and vLLM
compressed_tensors_w4a4_nvfp4.py, which inverts it), torchao's `weight_per_tensor_scale` multiplies.
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
    numbers,
    part_of,
    unpacked,
)
from ckptscan.content.formats import table
from ckptscan.structure.packing.fp4 import is_swizzled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers, Raw

_BYTES = ("weight_packed", "weight_qdata", "blocks", "weight")
_SCALES = ("weight_scale", "scales", "scale")
_SCALE_DTYPES = ("U8", "F8_E8M0", "F8_E4M3")
_FACTORS = ("weight_scale_2", "weight_per_tensor_scale")
_DIVISOR = "weight_global_scale"
_TILE = 128  # rows of one tile of swizzled scales, which has 4 columns


def _leaves(stored: Stored) -> tuple[str, str]:
    """The leaves of bytes and scales. Raises NoFormula for another layout than rows."""
    packed = stored.bundle.first(*_BYTES) or _BYTES[0]
    scale = stored.bundle.first(*_SCALES) or _SCALES[0]
    shape = stored.shape(packed)
    if scale in stored.bundle.kinds and stored.bundle.dtype(scale) not in _SCALE_DTYPES:
        raise NoFormula(f"its scales are {stored.bundle.dtype(scale)}, not of 8 bits")
    *_, wide = stored.logical
    bits = stored.bundle.kinds[packed].nbytes * 8
    rows = shape[:-2] if packed == "blocks" else shape[:-1]
    if rows != stored.logical[:-1] or bits != 4 * stored.matrices * stored.logical[-2] * wide:
        raise NoFormula("its bytes are packed along out")
    return packed, scale


def _is_swizzled(stored: Stored, packed: str, scale: str) -> bool:
    shape = stored.shape(packed)
    grid = stored.shape(scale)
    return shape[:-1] != grid[:-1] and len(shape) == 2 and is_swizzled(shape, grid)


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    packed, scale = _leaves(stored)
    width = stored.logical[-1] // 2
    first = lines.matrix * stored.logical[-2] + lines.start
    rows = part_of(packed, first, lines.size, width, lines.bits(4, stored.logical[-1]))
    if _is_swizzled(stored, packed, scale):
        begin, end = lines.start // _TILE, -(-lines.stop // _TILE)
        scales = stored.rows(scale, 0, begin * _TILE, end * _TILE)
    else:
        scales = grid_part(stored, scale, lines)
    factors = [leaf for leaf in (*_FACTORS, _DIVISOR) if leaf in stored.bundle.kinds]
    return rows, scales, *(grid_part(stored, leaf, lines) for leaf in factors)


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    packed, _ = _leaves(stored)
    left, right = lines.within(stored.logical[-1])
    codes = unpacked(raw[packed].reshape(lines.size, -1), 4, right - left)
    return Coded(codes, table("F4").astype("<f4"), _scales(stored, lines, raw))


def _scales(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    """The scale of each weight, with what stands for the whole tensor."""
    packed, scale = _leaves(stored)
    if _is_swizzled(stored, packed, scale):
        found = _straight(stored, scale, lines, raw[scale])
    else:
        has_exponents = stored.packing.group == 32 and stored.bundle.dtype(scale) == "U8"
        dtype = "F8_E8M0" if has_exponents else _dtype(stored, scale)
        found = grid_values(stored, scale, lines, raw[scale], dtype)
    for leaf in _FACTORS:
        if leaf in raw:
            found = found * grid_values(stored, leaf, lines, raw[leaf])
    if _DIVISOR in raw:
        found = found / grid_values(stored, _DIVISOR, lines, raw[_DIVISOR])
    return found


def _dtype(stored: Stored, scale: str) -> str:
    """What the scales of 16 values are, where the header calls them bytes."""
    return "F8_E4M3" if stored.bundle.dtype(scale) == "U8" else ""


def _straight(stored: Stored, scale: str, lines: Lines, raw: NDArray[np.uint8]) -> Numbers:
    """Scales of tiles as rows of the weight: torchao mx_formats/utils.py, to_blocked."""
    import numpy as np

    columns = stored.shape(scale)[-1]
    tiles = raw.reshape(-1, columns // 4, 32, 4, 4)
    rows = tiles.transpose(0, 3, 2, 1, 4).reshape(-1, columns)
    begin = lines.start // _TILE * _TILE
    held = rows[lines.start - begin : lines.stop - begin]
    found = numbers(_dtype(stored, scale) or stored.bundle.dtype(scale), held.reshape(-1))
    left, right = lines.within(stored.logical[-1])
    spread: Numbers = np.repeat(found.reshape(len(held), columns), 16, axis=1)[:, left:right]
    return spread


FP4 = Formula(-2, _parts, _decoded, tile=lambda stored: 2)
