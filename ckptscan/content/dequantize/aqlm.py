"""AQLM: a block of weights is the sum of one entry of each codebook, times the scale of its rows.

codes (out blocks, in blocks, books), codebooks (books, entries, out, in of a block): aqlm utils.py,
_dequantize_weight; codes are stored signed and mean what they are unsigned: unpack_int_data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckptscan.content.dequantize.values import Formula, Lines, NoFormula, Part, Stored, Summed

if TYPE_CHECKING:
    from ckptscan.content.dequantize.values import Numbers, Raw


def _step(stored: Stored) -> int:
    """The outputs of one block."""
    if stored.shape("codes")[0] != stored.shape("scales")[0]:
        raise NoFormula("its codes are turned, as kernels of the host want them")
    return stored.shape("codebooks")[-2]


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    high = _step(stored)
    _, ins, books = stored.shape("codes")
    first, last = lines.start // high, -(-lines.stop // high)
    sizes = {"codes": ins * books, "scales": 1}
    blocks = []
    for leaf, count in sizes.items():
        width = count * (stored.bundle.kinds[leaf].dtype.bits or 8) // 8
        blocks.append(Part(leaf, first * width, (last - first) * width))
    return *blocks, *stored.whole("codebooks")


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Summed:
    import numpy as np

    books, entries, high, wide = stored.shape("codebooks")
    codes = stored.read("codes", raw, -1, stored.shape("codes")[1], books).astype("i8") % entries
    table = stored.read("codebooks", raw, books, entries, high, wide).astype("<f4")
    blocks = np.zeros((*codes.shape[:2], high, wide), "<f4")
    for book in range(books):
        blocks += table[book][codes[..., book]]
    blocks *= stored.read("scales", raw, -1, 1, 1, 1).astype("<f4")
    found: Numbers = blocks.transpose(0, 2, 1, 3).reshape(lines.stop - lines.start, -1)
    return Summed(found)


AQLM = Formula(-2, _parts, _decoded, _step)
