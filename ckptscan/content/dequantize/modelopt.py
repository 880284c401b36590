"""ModelOpt's int4: outputs 2k and 2k + 1 in the lower and upper half of a byte, signed.

weight = code x scale of the group: export/quant_utils.py, pack_int4_in_uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_part, grid_values
from ckptscan.content.dequantize.values import Formula, Lines, Part, Stored

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw

_SCALE = "weight_scale"


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    rows = stored.rows("weight", lines.matrix, lines.start // 2, -(-lines.stop // 2))
    return rows, grid_part(stored, _SCALE, lines)


def _values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    import numpy as np

    held = raw["weight"].reshape(-1, stored.logical[-1])
    codes = np.stack((held & 0xF, held >> 4), axis=1).reshape(-1, stored.logical[-1])
    signed = (codes.astype("i1") ^ 8) - 8
    found: Numbers = signed.astype("<f4") * grid_values(stored, _SCALE, lines, raw[_SCALE])
    return found


MODELOPT_INT4 = Formula(-2, _parts, _values, lambda stored: 2)
