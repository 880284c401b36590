"""HQQ, Quanto, BitNet, AQLM and ModelOpt's int4 with known content, as each format says."""

from __future__ import annotations

import numpy as np

from tests.content.dequantize.writing import (
    IN,
    OUT,
    Written,
    bf16,
    draw,
    f16,
    named,
)


def hqq(bits: int = 4, axis: int = 1) -> Written:
    """Groups of 64 as rows or columns, then fold upon fold in a byte, the first one highest."""
    group, folds = 64, 8 // bits
    shape = (OUT * IN // group, group) if axis == 1 else (group, OUT * IN // group)
    codes = draw().integers(0, 1 << bits, shape)
    step = shape[0] // folds
    packed = sum(
        codes[at * step : (at + 1) * step] << bits * (folds - 1 - at) for at in range(folds)
    )
    beside = (shape[0], 1) if axis == 1 else (1, shape[1])
    scale, zero = f16(beside), f16(beside, 3) * np.float16(300)
    weights = (codes - zero.astype("f8")) * scale
    tensors = named(
        W_q=("U8", np.asarray(packed).astype("u1")), scale=("F16", scale), zero=("F16", zero)
    )
    said = {"quant_method": "hqq", "nbits": bits, "group_size": group}
    return Written(tensors, weights.reshape(OUT, IN), said)


def hqq_3() -> Written:
    """Ten codes of 3 bits in a word, the first one highest; the last words are padded."""
    group = 64
    rows = OUT * IN // group
    codes = draw().integers(0, 8, (rows, group))
    padded = np.zeros((-(-rows // 10) * 10, group), "i8")
    padded[:rows] = codes
    folds = padded.reshape(10, -1, group)
    packed = sum(folds[at] << 3 * (9 - at) for at in range(10))
    scale, zero = f16((rows, 1)), f16((rows, 1), 3) * np.float16(300)
    tensors = named(
        W_q=("I32", np.asarray(packed).astype("<i4")), scale=("F16", scale), zero=("F16", zero)
    )
    weights = ((codes - zero.astype("f8")) * scale).reshape(OUT, IN)
    return Written(tensors, weights, {"quant_method": "hqq", "nbits": 3, "group_size": group})


def quanto(bits: int = 4, is_whole: bool = False) -> Written:
    """Groups of 128 as rows, fold upon fold, the first one lowest; a float shift, or a whole."""
    group, folds = 128, 8 // bits
    codes = draw().integers(0, 1 << bits, (OUT * IN // group, group))
    step = len(codes) // folds
    packed = sum(codes[at * step : (at + 1) * step] << bits * at for at in range(folds))
    scale, shift = f16((len(codes), 1)), f16((len(codes), 1), 3)
    tensors = named(
        weight___data=("U8", np.asarray(packed).astype("u1")),
        weight___scale=("F16", scale),
        weight___shift=("F16", shift),
    )
    weights = codes * scale.astype("f8") - shift
    if is_whole:
        shift = draw(3).integers(0, 1 << bits, (len(codes), 1)).astype("i1")
        tensors |= named(weight___shift=("I8", shift))
        weights = (codes - shift.astype("f8")) * scale
    said = {"quant_method": "quanto", "weights": f"int{bits}"}
    return Written(tensors, weights.reshape(OUT, IN), said)


def bitnet(is_auto: bool = False) -> Written:
    """A quarter of the outputs in each pair of bits, plus one."""
    codes = draw().integers(-1, 2, (OUT, IN))
    quarter = OUT // 4
    packed = sum((codes[at * quarter : (at + 1) * quarter] + 1) << 2 * at for at in range(4))
    scale = np.array([1.25], "<f4")
    tensors = named(
        weight=("U8", np.asarray(packed).astype("u1")), weight_scale=("BF16", bf16(scale))
    )
    said: dict[str, object] = {"quant_method": "bitnet"}
    if is_auto:
        return Written(tensors, codes * 1.25, said | {"linear_class": "autobitlinear"})
    return Written(tensors, codes / 1.25, said)


def aqlm() -> Written:
    """Two books of 256 entries of 1 x 8; codes of I8 that mean what they are unsigned."""
    books, entries, wide = 2, 256, 8
    codes = draw().integers(0, entries, (OUT, IN // wide, books))
    table = draw(1).standard_normal((books, entries, 1, wide)).astype("<f2")
    scales = f16((OUT, 1, 1, 1))
    weights = np.zeros((OUT, IN))
    for out in range(OUT):
        for at in range(IN // wide):
            both = sum(table[book, codes[out, at, book], 0].astype("f8") for book in range(books))
            weights[out, at * wide : (at + 1) * wide] = both * float(scales[out, 0, 0, 0])
    tensors = named(
        codes=("I8", codes.astype("u1").view("i1")),
        codebooks=("F16", table),
        scales=("F16", scales),
    )
    return Written(tensors, weights, {"quant_method": "aqlm"})


def modelopt_int4() -> Written:
    """Outputs 2k and 2k + 1 in a byte, in two's complement."""
    codes = draw().integers(-8, 8, (OUT, IN))
    packed = (codes[::2] & 0xF | (codes[1::2] & 0xF) << 4).astype("u1")
    scales = draw(1).uniform(0.001, 0.02, (OUT, IN // 128)).astype("<f4")
    wide = np.repeat(scales.astype("f8"), 128, axis=1)
    tensors = named(weight=("U8", packed), weight_scale=("F32", scales))
    return Written(tensors, codes * wide, {"quant_algo": "W4A16_AWQ"})
