"""MLX: each row a stream of codes in words of 32 bits, with scales and biases of groups.

weight = code x scale + bias, or with the floats of modes that have no biases code x scale:
mlx.core.dequantize.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.grid import grid_part, grid_values
from ckptscan.content.dequantize.values import (
    Formula,
    Lines,
    NoFormula,
    Part,
    Stored,
    bits_of,
    unpacked,
)
from ckptscan.content.formats import table

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    beside = [leaf for leaf in ("scales", "biases") if leaf in stored.bundle.kinds]
    return (
        stored.rows("weight", lines.matrix, lines.start, lines.stop),
        *(grid_part(stored, leaf, lines) for leaf in beside),
    )


def _values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    bits, wide = bits_of(stored), stored.logical[-1]
    codes = unpacked(raw["weight"].reshape(lines.stop - lines.start, -1), bits, wide)
    if "biases" in raw:
        scales = grid_values(stored, "scales", lines, raw["scales"])
        return codes.astype("<f4") * scales + grid_values(stored, "biases", lines, raw["biases"])
    elements = {4: "F4", 8: "F8_E4M3"}.get(bits)
    if elements is None:
        raise NoFormula("there are no biases")
    dtype = "F8_E4M3" if stored.packing.group == 16 else "F8_E8M0"
    found: Numbers = table(elements).astype("<f4")[codes]
    return found * grid_values(stored, "scales", lines, raw["scales"], dtype)


MLX = Formula(-2, _parts, _values)
