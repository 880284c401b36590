"""AWQ: eight codes of 4 bits in a word along out, in an order of their own; a row is an input.

weight = (code - zero) x scale of the input's group: AutoAWQ awq/utils/packing_utils.py. In GEMV's
layout a row is an output and the order plain: awq/modules/linear/gemv.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Raw

_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    if bits_of(stored) != 4:
        raise NoFormula(f"the order of codes of {bits_of(stored)} bits is not known")
    out = stored.logical[-2]
    first, last = (line // _group(stored) for line in (lines.start, lines.stop - 1))
    return (
        stored.rows("qweight", lines.matrix, lines.start, lines.stop, lines.bits(4, out)),
        *(
            stored.rows(leaf, lines.matrix, first, last + 1, lines.bits(each, out))
            for leaf, each in (("scales", stored.bits("scales")), ("qzeros", 4))
            if leaf in stored.bundle.kinds
        ),
    )


def _group(stored: Stored) -> int:
    group = stored.packing.group
    return group if isinstance(group, int) else stored.logical[-1]


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    left, right = lines.within(stored.logical[-2])
    out, group = right - left, _group(stored)
    groups = np.arange(lines.start, lines.stop) // group - lines.start // group
    scales = stored.read("scales", raw, -1, out).astype("<f4")
    zeros = np.full(scales.shape, 8, "<f4")
    if "qzeros" in raw:
        zeros = _in_order(raw["qzeros"], out).astype("<f4")
    return Coded(_in_order(raw["qweight"], out), integers(4), scales[groups], zeros[groups])


def _in_order(raw: NDArray[np.uint8], out: int) -> NDArray[np.uint8]:
    """The codes of words of eight, a row for each row of words, in the order of the outputs."""
    import numpy as np

    codes = unpacked(raw.reshape(-1, out // 2), 4, out).reshape(-1, out // 8, 8)
    return codes[..., np.argsort(_ORDER)].reshape(-1, out)


def _gemv_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    leaves = ("qweight", "scales", "qzeros")
    return tuple(stored.rows(leaf, lines.matrix, lines.start, lines.stop) for leaf in leaves)


def _gemv_decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    count, wide = lines.size, stored.logical[-1]
    codes = unpacked(raw["qweight"].reshape(count, -1), 4, wide)
    zeros = unpacked(raw["qzeros"].reshape(count, -1), 4, stored.shape("scales")[-1])
    scales = stored.read("scales", raw, count, -1).astype("<f4")
    groups = np.arange(wide) // _group(stored)
    return Coded(codes, integers(4), scales[:, groups], zeros[:, groups].astype("<f4"))


AWQ_GEMV = Formula(-2, _gemv_parts, _gemv_decoded)
AWQ = Formula(-1, _parts, _decoded, tile=lambda stored: len(_ORDER))
