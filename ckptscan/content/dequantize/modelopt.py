"""ModelOpt's int4: outputs 2k and 2k + 1 in the lower and upper half of a byte, signed.

weight = code x scale of the group: export/quant_utils.py, pack_int4_in_uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_part, grid_values
from ckptscan.content.dequantize.values import Coded, Formula, Lines, Part, Stored

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Raw

_SCALE = "weight_scale"


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    rows = stored.rows(
        "weight",
        lines.matrix,
        lines.start // 2,
        -(-lines.stop // 2),
        lines.bits(8, stored.logical[-1]),
    )
    return rows, grid_part(stored, _SCALE, lines)


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    left, right = lines.within(stored.logical[-1])
    held = raw["weight"].reshape(-1, right - left)
    codes = np.stack((held & 0xF, held >> 4), axis=1).reshape(-1, right - left)
    signed = ((np.arange(16) ^ 8) - 8).astype("<f4")
    return Coded(codes[: lines.size], signed, grid_values(stored, _SCALE, lines, raw[_SCALE]))


MODELOPT_INT4 = Formula(-2, _parts, _decoded, lambda stored: 2, lambda stored: 1)
