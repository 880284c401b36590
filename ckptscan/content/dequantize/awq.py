"""AWQ: eight codes of 4 bits in a word along out, in an order of their own; a row is an input.

weight = (code - zero) x scale of the input's group: AutoAWQ awq/utils/packing_utils.py. In GEMV's
layout a row is an output and the order plain: awq/modules/linear/gemv.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers, Raw

_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    if bits_of(stored) != 4:
        raise NoFormula(f"the order of codes of {bits_of(stored)} bits is not known")
    first, last = (line // _group(stored) for line in (lines.start, lines.stop - 1))
    leaves = [leaf for leaf in ("scales", "qzeros") if leaf in stored.bundle.kinds]
    return (
        stored.rows("qweight", lines.matrix, lines.start, lines.stop),
        *(stored.rows(leaf, lines.matrix, first, last + 1) for leaf in leaves),
    )


def _group(stored: Stored) -> int:
    group = stored.packing.group
    return group if isinstance(group, int) else stored.logical[-1]


def _values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    import numpy as np

    out, group = stored.logical[-2], _group(stored)
    groups = np.arange(lines.start, lines.stop) // group - lines.start // group
    scales = stored.read("scales", raw, -1, out).astype("<f4")
    zeros = np.full(scales.shape, 8, "<f4")
    if "qzeros" in raw:
        zeros = _in_order(raw["qzeros"], out)
    found: Numbers = (_in_order(raw["qweight"], out) - zeros[groups]) * scales[groups]
    return found


def _in_order(raw: NDArray[np.uint8], out: int) -> Numbers:
    """The codes of words of eight, a row for each row of words, in the order of the outputs."""
    import numpy as np

    codes = unpacked(raw.reshape(-1, out // 2), 4, out).reshape(-1, out // 8, 8)
    found: Numbers = codes[..., np.argsort(_ORDER)].reshape(-1, out).astype("<f4")
    return found


def _gemv_parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    leaves = ("qweight", "scales", "qzeros")
    return tuple(stored.rows(leaf, lines.matrix, lines.start, lines.stop) for leaf in leaves)


def _gemv_values(stored: Stored, lines: Lines, raw: Raw) -> Numbers:
    import numpy as np

    count, wide = lines.stop - lines.start, stored.logical[-1]
    codes = unpacked(raw["qweight"].reshape(count, -1), 4, wide).astype("<f4")
    zeros = unpacked(raw["qzeros"].reshape(count, -1), 4, stored.shape("scales")[-1])
    scales = stored.read("scales", raw, count, -1).astype("<f4")
    groups = np.arange(wide) // _group(stored)
    found: Numbers = (codes - zeros[:, groups].astype("<f4")) * scales[:, groups]
    return found


AWQ_GEMV = Formula(-2, _gemv_parts, _gemv_values)
AWQ = Formula(-1, _parts, _values)
