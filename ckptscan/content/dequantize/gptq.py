"""GPTQ: codes in words of 32 bits, a stream of bits down the rows of in.

weight = (code - zero) x scale of the input's group. Zeros are packed along out. The first format
stores zero - 1: AutoGPTQ qlinear_cuda.py; with `checkpoint_format: gptq_v2` they are as they are:
GPTQModel utils/model.py, convert_gptq_v1_to_v2_format.
"""

from __future__ import annotations

from math import gcd
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
    whole_bytes,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.content.dequantize.values import Numbers, Raw

_BITS = (2, 3, 4, 8)  # others are planar: GPTQModel nn_modules/qlinear


def _step(stored: Stored) -> int:
    """Inputs that fill whole words."""
    bits = bits_of(stored)
    if bits not in _BITS or stored.bundle.kinds["qweight"].dtype.bits != 32:
        raise NoFormula(f"how {bits} bits lie in words is not known")
    return 32 // gcd(32, bits)


def _parts(stored: Stored, lines: Lines) -> tuple[Part, ...]:
    bits, step, out = bits_of(stored), _step(stored), stored.logical[-2]
    rows = [-(-line // step) * step * bits // 32 for line in (lines.start, lines.stop)]
    words = min(rows[1], stored.shape("qweight")[-2])
    parts = [stored.rows("qweight", lines.matrix, rows[0], words, lines.bits(32, out))]
    groups = _read_groups(stored, lines)
    parts.extend(
        stored.rows(leaf, lines.matrix, *groups, lines.bits(each, out))
        for leaf, each in (("scales", stored.bits("scales")), ("qzeros", bits))
        if leaf in stored.bundle.kinds
    )
    if "g_idx" in stored.bundle.kinds:
        *_, wide = stored.shape("g_idx")
        size = (stored.bundle.kinds["g_idx"].dtype.bits or 32) // 8
        first = lines.matrix * wide + lines.start if len(stored.shape("g_idx")) > 1 else lines.start
        parts.append(Part("g_idx", first * size, (lines.stop - lines.start) * size))
    return tuple(parts)


def _read_groups(stored: Stored, lines: Lines) -> tuple[int, int]:
    """The groups whose scales are read: all, where an index says which are needed."""
    if "g_idx" in stored.bundle.kinds:
        return 0, stored.shape("scales")[-2]
    size = _group(stored)
    return lines.start // size, (lines.stop - 1) // size + 1


def _group(stored: Stored) -> int:
    group = stored.packing.group
    return group if isinstance(group, int) else stored.logical[-1]


def _decoded(stored: Stored, lines: Lines, raw: Raw) -> Coded:
    import numpy as np

    bits = bits_of(stored)
    left, right = lines.within(stored.logical[-2])
    out = right - left
    words = raw["qweight"].reshape(-1, out, 4).transpose(1, 0, 2).reshape(out, -1)
    codes = unpacked(np.ascontiguousarray(words), bits, lines.size).T
    scales = stored.read("scales", raw, -1, out).astype("<f4")
    groups = _groups(stored, lines, raw, len(scales))
    zeros = _zeros(stored, raw, len(scales), out)
    return Coded(codes, integers(bits), scales[groups], zeros[groups])


def _groups(stored: Stored, lines: Lines, raw: Raw, count: int) -> NDArray[np.int64]:
    """The group of each input. Raises NoFormula where there is no such group."""
    import numpy as np

    if "g_idx" in raw:
        found: NDArray[np.int64] = stored.read("g_idx", raw).astype("i8")
    else:
        size = _group(stored)
        found = np.arange(lines.start, lines.stop, dtype="i8") // size - lines.start // size
    found = np.where(found < 0, found + count, found)  # as torch counts from the end
    if len(found) and not 0 <= found.min() <= found.max() < count:
        raise NoFormula("g_idx names groups that there are not")
    return found


def _zeros(stored: Stored, raw: Raw, groups: int, out: int) -> Numbers:
    """The zero of each group and output; half the range where none are stored."""
    import numpy as np

    bits = bits_of(stored)
    if "qzeros" not in raw:
        return np.full((groups, out), 1 << (bits - 1), "<f4")
    codes = unpacked(raw["qzeros"].reshape(groups, -1), bits, out)
    is_second = stored.said.get("checkpoint_format") == "gptq_v2"
    if not is_second:
        codes = (codes + np.uint8(1)) & np.uint8((1 << bits) - 1)
    return codes.astype("<f4")


GPTQ = Formula(-1, _parts, _decoded, _step, lambda stored: whole_bytes(bits_of(stored)))
