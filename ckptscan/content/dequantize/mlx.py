"""MLX: each row a stream of codes in words of 32 bits, with scales and biases of groups.

weight = code x scale + bias, or with the floats of modes that have no biases code x scale:
mlx.core.dequantize.
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
    bits_of,
    integers,
    unpacked,
    whole_bytes,
)
from ckptscan.content.formats import table

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Raw


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    beside = [leaf for leaf in ("scales", "biases") if leaf in stored.bundle.kinds]
    of = lines.bits(bits_of(stored), stored.logical[-1])
    return (
        stored.rows("weight", lines.matrix, lines.start, lines.stop, of),
        *(grid_part(stored, leaf, lines) for leaf in beside),
    )


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    bits = bits_of(stored)
    left, right = lines.within(stored.logical[-1])
    codes = unpacked(raw["weight"].reshape(lines.size, -1), bits, right - left)
    if "biases" in raw:
        scales = grid_values(stored, "scales", lines, raw["scales"])
        biases = grid_values(stored, "biases", lines, raw["biases"])
        return Coded(codes, integers(bits), scales, bias=biases)
    elements = {4: "F4", 8: "F8_E4M3"}.get(bits)
    if elements is None:
        raise NoFormula("there are no biases")
    dtype = "F8_E4M3" if stored.packing.group == 16 else "F8_E8M0"
    scales = grid_values(stored, "scales", lines, raw["scales"], dtype)
    return Coded(codes, table(elements).astype("<f4"), scales)


MLX = Formula(-2, _parts, _decoded, tile=lambda stored: whole_bytes(bits_of(stored)))
