"""GPTQ, AWQ, pack-quantized and MLX with known content, written as each format says."""

from __future__ import annotations

import numpy as np

from tests.content.dequantize.writing import (
    E4M3,
    FP4_VALUES,
    IN,
    NAME,
    OUT,
    Matrix,
    Written,
    bf16,
    draw,
    f16,
    from_bf16,
    named,
    stream,
    without,
)


def gptq(bits: int = 4, is_second: bool = False, is_shuffled: bool = False) -> Written:
    """qweight down the columns, zeros along the rows; zero - 1 in the first format."""
    group, groups = 64, IN // 64
    codes = draw().integers(0, 1 << bits, (IN, OUT))
    zeros = draw(1).integers(1, 1 << bits, (groups, OUT))
    scales = f16((groups, OUT))
    index = np.arange(IN) // group
    if is_shuffled:
        index = draw(2).permutation(index)
    columns = [stream(codes[:, out], bits) for out in range(OUT)]
    qweight = np.array(columns, "<u4").T
    stored_zeros = zeros if is_second else zeros - 1
    qzeros = np.array([stream(row, bits) for row in stored_zeros], "<u4")
    weights = (codes - zeros[index]) * scales[index].astype("f8")
    said: dict[str, object] = {"quant_method": "gptq", "bits": bits, "group_size": group}
    if is_second:
        said["checkpoint_format"] = "gptq_v2"
    tensors = named(
        qweight=("I32", qweight),
        qzeros=("I32", qzeros),
        scales=("F16", scales),
        g_idx=("I32", index.astype("<i4")),
    )
    return Written(tensors, weights.T, said)


def gptq_symmetric() -> Written:
    """Without zeros: half the range is zero."""
    plain = gptq()
    codes = [
        [int(column[at // 8]) >> 4 * (at % 8) & 15 for at in range(IN)]
        for column in plain.tensors[f"{NAME}qweight"][1].T
    ]
    scales = plain.tensors[f"{NAME}scales"][1].astype("f8")
    weights = (np.array(codes) - 8) * np.repeat(scales, 64, axis=0).T
    return without(plain, "qzeros")._replace(weights=weights)


def awq() -> Written:
    """Eight outputs a word: the i-th nibble holds output 0 2 4 6 1 3 5 7."""
    groups, order = IN // 128, (0, 2, 4, 6, 1, 3, 5, 7)

    def packed(codes: Matrix) -> Matrix:
        rows = [
            [
                sum(int(row[8 * at + order[i]]) << 4 * i for i in range(8))
                for at in range(len(row) // 8)
            ]
            for row in codes
        ]
        return np.array(rows, "<u4")

    codes = draw().integers(0, 16, (IN, OUT))
    zeros = draw(1).integers(0, 16, (groups, OUT))
    scales = f16((groups, OUT))
    index = np.arange(IN) // 128
    weights = (codes - zeros[index]) * scales[index].astype("f8")
    tensors = named(
        qweight=("I32", packed(codes)), qzeros=("I32", packed(zeros)), scales=("F16", scales)
    )
    return Written(tensors, weights.T, {"quant_method": "awq", "bits": 4, "group_size": 128})


def awq_symmetric() -> Written:
    """Without zeros, as those that some engines write: eight is zero."""
    plain = awq()
    index = np.arange(IN) // 128
    scales = plain.tensors[f"{NAME}scales"][1].astype("f8")
    zeros = draw(1).integers(0, 16, (IN // 128, OUT))
    weights = plain.weights + ((zeros - 8) * scales)[index].T
    return without(plain, "qzeros")._replace(weights=weights)


def awq_gemv() -> Written:
    """A row an output, codes in plain order; scales padded to eight for each word of zeros."""
    group, words = 128, 1
    groups = IN // group
    codes = draw().integers(0, 16, (OUT, IN))
    zeros = draw(1).integers(0, 16, (OUT, groups))
    scales = np.zeros((OUT, 8 * words), "<f2")
    scales[:, :groups] = f16((OUT, groups))
    tensors = named(
        qweight=("I32", np.array([stream(row, 4) for row in codes], "<u4")),
        qzeros=("I32", np.array([stream(row, 4) for row in zeros], "<u4")),
        scales=("F16", scales),
    )
    index = np.arange(IN) // group
    weights = (codes - zeros[:, index]) * scales.astype("f8")[:, index]
    return Written(tensors, weights, {"quant_method": "awq", "version": "gemv", "bits": 4})


def pack_quantized(bits: int = 4, is_symmetric: bool = True) -> Written:
    group, half = 64, 1 << (bits - 1)
    groups = IN // group
    codes = draw().integers(-half, half, (OUT, IN))
    zeros = draw(1).integers(-half, half, (OUT, groups))
    scales = bf16(draw(2).uniform(0.001, 0.02, (OUT, groups)))
    wide = np.repeat(from_bf16(scales).astype("f8"), group, axis=1)
    packed = np.array([stream(row + half, bits) for row in codes], "<u4")
    tensors = named(
        weight_packed=("I32", packed),
        weight_scale=("BF16", scales),
        weight_shape=("I64", np.array([OUT, IN], "<i8")),
    )
    weights = codes * wide
    if not is_symmetric:
        columns = [stream(zeros[:, at] + half, bits) for at in range(groups)]
        tensors |= named(weight_zero_point=("I32", np.array(columns, "<u4").T))
        weights = (codes - np.repeat(zeros, group, axis=1)) * wide
    said = {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": {"weights": {"num_bits": bits, "group_size": group}}},
    }
    return Written(tensors, weights, said)


def pack_quantized_in_order(bits: int = 4) -> Written:
    """Groups by activation order: `weight_g_idx` names that of each input."""
    plain = pack_quantized(bits)
    index = draw(6).permutation(np.arange(IN) // 64)
    scales = from_bf16(plain.tensors[f"{NAME}weight_scale"][1]).astype("f8")
    codes = plain.weights / np.repeat(scales, 64, axis=1)
    tensors = plain.tensors | named(weight_g_idx=("I32", index.astype("<i4")))
    return plain._replace(tensors=tensors, weights=codes * scales[:, index])


def mlx(bits: int = 4) -> Written:
    group = 64
    codes = draw().integers(0, 1 << bits, (OUT, IN))
    scales, biases = f16((OUT, IN // group)), -f16((OUT, IN // group), 2)
    packed = np.array([stream(row, bits) for row in codes], "<u4")
    wide, more = (np.repeat(one.astype("f8"), group, axis=1) for one in (scales, biases))
    tensors = named(weight=("U32", packed), scales=("F16", scales), biases=("F16", biases))
    return Written(tensors, codes * wide + more, {"group_size": group, "bits": bits})


def mlx_floats(bits: int, group: int) -> Written:
    """Modes without biases: floats of 4 or 8 bits, scales of one byte."""
    codes = draw().integers(0, 16, (OUT, IN)) if bits == 4 else draw().choice([*E4M3], (OUT, IN))
    values = FP4_VALUES[codes] if bits == 4 else np.vectorize(E4M3.get)(codes)
    shape = (OUT, IN // group)
    scales = draw(1).integers(115, 125, shape) if group == 32 else draw(1).choice([*E4M3], shape)
    factors = 2.0 ** (scales - 127.0) if group == 32 else np.vectorize(E4M3.get)(scales)
    packed = np.array([stream(row, bits) for row in codes], "<u4")
    tensors = named(weight=("U32", packed), scales=("U8", scales.astype("u1")))
    weights = values * np.repeat(factors, group, axis=1)
    return Written(tensors, weights, {"group_size": group, "bits": bits})
