"""Quantized weights with known content, written one code at a time as each format says.

Each gives the tensors of one linear, what config.json says, and the weights that they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tests.content.making import Arrays

Matrix = NDArray[Any]
NAME = "model.layers.0.mlp.up_proj."
OUT, IN = 64, 256
E2M1 = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]  # OCP Microscaling 1.0, table of FP4
FP4_VALUES = np.array([*E2M1, *(-one for one in E2M1)], "f4")


class Written(NamedTuple):
    """Tensors of a weight, the weights as (out, in), and the quantization that config names."""

    tensors: Arrays
    weights: Matrix
    said: dict[str, object] | None = None


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def stream(codes: Iterable[int], bits: int, word: int = 32) -> list[int]:
    """Codes one after the other from the lowest bit on, cut into words."""
    total = count = 0
    for code in codes:
        total |= int(code) << (bits * count)
        count += 1
    return [total >> at & (1 << word) - 1 for at in range(0, bits * count, word)]


def named(**leaves: tuple[str, Matrix]) -> Arrays:
    return {NAME + leaf.replace("__", "."): held for leaf, held in leaves.items()}


def f16(shape: Sequence[int], seed: int = 1) -> Matrix:
    return draw(seed).uniform(0.001, 0.02, tuple(shape)).astype("<f2")


def bf16(numbers: Matrix) -> Matrix:
    return (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")


def from_bf16(raw: Matrix) -> Matrix:
    return (raw.astype("<u4") << 16).view("<f4")


def without(written: Written, *leaves: str) -> Written:
    """The same without some tensors."""
    gone = {NAME + leaf for leaf in leaves}
    kept = {name: held for name, held in written.tensors.items() if name not in gone}
    return written._replace(tensors=kept)


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


def awq_symmetric() -> Written:
    """Without zeros, as those that some engines write: eight is zero."""
    plain = awq()
    index = np.arange(IN) // 128
    scales = plain.tensors[f"{NAME}scales"][1].astype("f8")
    zeros = draw(1).integers(0, 16, (IN // 128, OUT))
    weights = plain.weights + ((zeros - 8) * scales)[index].T
    return without(plain, "qzeros")._replace(weights=weights)


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


def mlx(bits: int = 4) -> Written:
    group = 64
    codes = draw().integers(0, 1 << bits, (OUT, IN))
    scales, biases = f16((OUT, IN // group)), -f16((OUT, IN // group), 2)
    packed = np.array([stream(row, bits) for row in codes], "<u4")
    wide, more = (np.repeat(one.astype("f8"), group, axis=1) for one in (scales, biases))
    tensors = named(weight=("U32", packed), scales=("F16", scales), biases=("F16", biases))
    return Written(tensors, codes * wide + more, {"group_size": group, "bits": bits})


def nibbles(codes: Matrix) -> Matrix:
    """Two codes a byte, the first in the lower half."""
    return (codes[..., ::2] | codes[..., 1::2] << 4).astype("u1")


def mxfp4_blocks() -> Written:
    """gpt-oss: (experts, out, blocks, 16 bytes), exponents of two beside."""
    experts, blocks = 3, IN // 32
    codes = draw().integers(0, 16, (experts, OUT, IN))
    exponents = draw(1).integers(115, 125, (experts, OUT, blocks))
    wide = np.repeat(2.0 ** (exponents - 127.0), 32, axis=2)
    name = "model.layers.0.mlp.experts.down_proj_"
    tensors: Arrays = {
        f"{name}blocks": ("U8", nibbles(codes).reshape(experts, OUT, blocks, 16)),
        f"{name}scales": ("U8", exponents.astype("u1")),
    }
    return Written(tensors, FP4_VALUES[codes] * wide, {"quant_method": "mxfp4"})


E4M3 = {0x30: 0.5, 0x38: 1.0, 0x3C: 1.5, 0x40: 2.0, 0x44: 3.0, 0x08: 2.0**-6, 0x7E: 448.0}


def nvfp4(is_modelopt: bool = True) -> Written:
    """A scale of F8_E4M3 for 16, and one number for all: a factor, or by which is divided."""
    codes = draw().integers(0, 16, (OUT, IN))
    scales = draw(1).choice([*E4M3], (OUT, IN // 16)).astype("u1")
    wide = np.repeat(np.vectorize(E4M3.get)(scales).astype("f8"), 16, axis=1)
    weights = FP4_VALUES[codes] * wide
    if is_modelopt:
        tensors = named(
            weight=("U8", nibbles(codes)),
            weight_scale=("F8_E4M3", scales),
            weight_scale_2=("F32", np.array(0.003, "<f4")),
        )
        return Written(tensors, weights * np.float32(0.003), {"quant_algo": "NVFP4"})
    tensors = named(
        weight_packed=("U8", nibbles(codes)),
        weight_scale=("F8_E4M3", scales),
        weight_global_scale=("F32", np.array([3000.0], "<f4")),
    )
    return Written(tensors, weights / 3000.0, {"quant_method": "compressed-tensors"})


def nvfp4_swizzled() -> Written:
    """Scales in tiles of 128 x 4 as the tensor cores want them, padded."""
    plain = nvfp4()
    scales = plain.tensors[f"{NAME}weight_scale"][1]
    rows, columns = 128, 4 * -(-(IN // 16) // 4)
    tiled = np.zeros(rows * columns, "u1")
    for row in range(OUT):
        for column in range(IN // 16):
            tile, inner = divmod(column, 4)
            tiled[tile * 512 + row % 32 * 16 + row // 32 * 4 + inner] = scales[row, column]
    tensors = plain.tensors | named(weight_scale=("F8_E4M3", tiled.reshape(rows, columns)))
    return plain._replace(tensors=tensors)


def fp8(scale: str, shape: tuple[int, ...], high: int, wide: int) -> Written:
    """F8_E4M3 with a scale for each block of `high` x `wide`."""
    codes = draw().choice([*E4M3], (OUT, IN)).astype("u1")
    scales = draw(1).uniform(0.0001, 0.001, shape).astype("<f4")
    grid = scales.reshape(-(-OUT // high), -(-IN // wide)).astype("f8")
    spread = np.repeat(np.repeat(grid, high, axis=0), wide, axis=1)[:OUT, :IN]
    weights = np.vectorize(E4M3.get)(codes) * spread
    tensors = named(weight=("F8_E4M3", codes), **{scale: ("F32", scales)})
    return Written(tensors, weights, {"quant_method": "fp8"})


def int8(is_symmetric: bool = True) -> Written:
    codes = draw().integers(-128, 128, (OUT, IN)).astype("i1")
    zeros = draw(1).integers(-20, 20, (OUT, 1)).astype("i1")
    scales = draw(2).uniform(0.0001, 0.001, (OUT, 1)).astype("<f4")
    tensors = named(weight=("I8", codes), weight_scale=("F32", scales))
    if is_symmetric:
        return Written(tensors, codes * scales.astype("f8"), {})
    tensors |= named(weight_zero_point=("I8", zeros))
    return Written(tensors, (codes.astype("f8") - zeros) * scales, {})


def bnb_int8() -> Written:
    codes = draw().integers(-127, 128, (OUT, IN)).astype("i1")
    scb = draw(1).uniform(0.01, 0.1, OUT).astype("<f4")
    tensors = named(weight=("I8", codes), SCB=("F32", scb))
    return Written(tensors, codes * (scb.astype("f8") / 127)[:, None], {"load_in_8bit": True})


def eetq() -> Written:
    codes = draw().integers(-127, 128, (IN, OUT)).astype("i1")
    scales = f16((OUT,))
    tensors = named(weight=("I8", codes), weight_scales=("F16", scales))
    return Written(tensors, (codes * scales.astype("f8")).T, {"quant_method": "eetq"})


def bnb_8bit() -> Written:
    """A code of 8 bits a weight, an entry of a table of 256, blocks of 256."""
    count, block = OUT * IN, 256
    entries = np.sort(draw(5).uniform(-1, 1, 256)).astype("<f4")
    codes = draw().integers(0, 256, count)
    absmax = draw(3).uniform(0.01, 0.1, count // block).astype("<f4")
    tensors = named(
        weight=("U8", codes.astype("u1").reshape(OUT, IN)),
        weight__absmax=("F32", absmax),
        weight__quant_map=("F32", entries),
        bias=("F32", np.zeros(OUT, "<f4")),
    )
    weights = entries[codes] * np.repeat(absmax.astype("f8"), block)
    return Written(tensors, weights.reshape(OUT, IN), {"quant_method": "bitsandbytes"})


def bnb_nf4(is_nested: bool = False) -> Written:
    """Codes of the flattened weight, the first in the upper half of a byte; blocks of 64."""
    count, block = OUT * IN, 64
    entries = np.sort(draw(5).uniform(-1, 1, 16)).astype("<f4")
    codes = draw().integers(0, 16, count)
    packed = (codes[::2] << 4 | codes[1::2]).astype("u1").reshape(-1, 1)
    state: dict[str, object] = {"quant_type": "nf4", "blocksize": block, "shape": [OUT, IN]}
    tensors = named(weight=("U8", packed), weight__quant_map=("F32", entries))
    if is_nested:
        table = np.linspace(-1, 1, 256).astype("<f4")
        inner = draw(3).integers(0, 256, count // block).astype("u1")
        sizes = draw(4).uniform(0.01, 0.02, -(-len(inner) // 256)).astype("<f4")
        state |= {"nested_blocksize": 256, "nested_offset": 0.25, "nested_dtype": "float32"}
        absmax = table[inner] * np.repeat(sizes, 256)[: len(inner)] + np.float32(0.25)
        tensors |= named(
            weight__absmax=("U8", inner),
            weight__nested_absmax=("F32", sizes),
            weight__nested_quant_map=("F32", table),
        )
    else:
        absmax = draw(3).uniform(0.01, 0.1, count // block).astype("<f4")
        tensors |= named(weight__absmax=("F32", absmax))
    raw = np.frombuffer(json.dumps(state).encode(), "u1")
    tensors[f"{NAME}weight.quant_state.bitsandbytes__nf4"] = "U8", raw
    weights = entries[codes] * np.repeat(absmax.astype("f8"), block)
    return Written(tensors, weights.reshape(OUT, IN), {"quant_method": "bitsandbytes"})


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


def mx(dtype: str = "U8", scale: str = "U8", is_ct: bool = True) -> Written:
    """FP4 with an exponent of two for 32 along in: compressed-tensors' names, or DeepSeek-V4's."""
    codes = draw().integers(0, 16, (OUT, IN))
    exponents = draw(1).integers(115, 125, (OUT, IN // 32)).astype("u1")
    wide = np.repeat(2.0 ** (exponents - 127.0), 32, axis=1)
    names = ("weight_packed", "weight_scale") if is_ct else ("weight", "scale")
    held = (dtype, nibbles(codes)), (scale, exponents)
    tensors = named(**dict(zip(names, held, strict=True)))
    said: dict[str, object] = {"quant_method": "compressed-tensors" if is_ct else "fp8"}
    return Written(tensors, FP4_VALUES[codes] * wide, said)


def mxfp8() -> Written:
    codes = draw().choice([*E4M3], (OUT, IN)).astype("u1")
    exponents = draw(1).integers(115, 125, (OUT, IN // 32)).astype("u1")
    wide = np.repeat(2.0 ** (exponents - 127.0), 32, axis=1)
    tensors = named(weight=("F8_E4M3", codes), weight_scale=("U8", exponents))
    return Written(tensors, np.vectorize(E4M3.get)(codes) * wide, {"quant_method": "mxfp8"})


def torchao(is_float: bool = False) -> Written:
    """torchao's int8 and FP8 tensors, flattened to `_weight_qdata` and `_weight_scale`."""
    plain = fp8("weight_scale", (OUT, 1), 1, IN) if is_float else int8()
    leaves = {"weight": "_weight_qdata", "weight_scale": "_weight_scale"}
    tensors = {NAME + leaves[name.removeprefix(NAME)]: held for name, held in plain.tensors.items()}
    return plain._replace(tensors=tensors, said={"quant_method": "torchao"})


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


CASES: dict[str, Callable[[], Written]] = {
    **{f"gptq-{bits}": (lambda bits=bits: gptq(bits)) for bits in (2, 3, 4, 8)},
    "gptq-v2": lambda: gptq(is_second=True),
    "gptq-act-order": lambda: gptq(is_shuffled=True),
    "gptq-no-index": lambda: without(gptq(), "g_idx"),
    "gptq-no-zeros": gptq_symmetric,
    "awq-no-zeros": awq_symmetric,
    "packed-in-order": pack_quantized_in_order,
    "mlx-mxfp4": lambda: mlx_floats(4, 32),
    "mlx-nvfp4": lambda: mlx_floats(4, 16),
    "mlx-mxfp8": lambda: mlx_floats(8, 32),
    "bnb-8bit": bnb_8bit,
    "quanto-shift": lambda: quanto(is_whole=True),
    "awq": awq,
    "awq-gemv": awq_gemv,
    "modelopt-int4": modelopt_int4,
    "mxfp4-ct": mx,
    "fp4-e8m0": lambda: mx("I8", "F8_E8M0", is_ct=False),
    "mxfp8": mxfp8,
    "torchao-int8": torchao,
    "torchao-fp8": lambda: torchao(is_float=True),
    "aqlm": aqlm,
    "bitnet": bitnet,
    "bitnet-auto": lambda: bitnet(is_auto=True),
    **{f"packed-{bits}": (lambda bits=bits: pack_quantized(bits)) for bits in (2, 3, 4, 6, 8)},
    "packed-asymmetric": lambda: pack_quantized(is_symmetric=False),
    **{f"mlx-{bits}": (lambda bits=bits: mlx(bits)) for bits in (2, 3, 4, 5, 6, 8)},
    "nvfp4-modelopt": nvfp4,
    "nvfp4-ct": lambda: nvfp4(is_modelopt=False),
    "nvfp4-swizzled": nvfp4_swizzled,
    "fp8-tensor": lambda: fp8("weight_scale", (), OUT, IN),
    "fp8-channel": lambda: fp8("weight_scale", (OUT, 1), 1, IN),
    "fp8-block": lambda: fp8("weight_scale_inv", (2, 8), 32, 32),
    "fp8-ragged-block": lambda: fp8("weight_scale_inv", (1, 2), 128, 128),
    "int8": int8,
    "int8-asymmetric": lambda: int8(is_symmetric=False),
    "bnb-int8": bnb_int8,
    "eetq": eetq,
    "nf4": bnb_nf4,
    "nf4-nested": lambda: bnb_nf4(is_nested=True),
    "hqq-8": lambda: hqq(8),
    "hqq-4": hqq,
    "hqq-2": lambda: hqq(2),
    "hqq-1": lambda: hqq(1),
    "hqq-4-axis-0": lambda: hqq(axis=0),
    "hqq-3": hqq_3,
    "quanto-4": quanto,
    "quanto-2": lambda: quanto(2),
}
