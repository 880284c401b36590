"""FP8, FP4, INT8 and bitsandbytes with known content, written as each format says."""

from __future__ import annotations

import json

import numpy as np

from tests.content.dequantize.writing import (
    E4M3,
    FP4_VALUES,
    IN,
    NAME,
    OUT,
    Written,
    draw,
    f16,
    named,
    nibbles,
)
from tests.content.making import Arrays


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


def torchao(is_float: bool = False) -> Written:
    """torchao's int8 and FP8 tensors, flattened to `_weight_qdata` and `_weight_scale`."""
    plain = fp8("weight_scale", (OUT, 1), 1, IN) if is_float else int8()
    leaves = {"weight": "_weight_qdata", "weight_scale": "_weight_scale"}
    tensors = {NAME + leaves[name.removeprefix(NAME)]: held for name, held in plain.tensors.items()}
    return plain._replace(tensors=tensors, said={"quant_method": "torchao"})


def eetq() -> Written:
    codes = draw().integers(-127, 128, (IN, OUT)).astype("i1")
    scales = f16((OUT,))
    tensors = named(weight=("I8", codes), weight_scales=("F16", scales))
    return Written(tensors, (codes * scales.astype("f8")).T, {"quant_method": "eetq"})


def bnb_int8() -> Written:
    codes = draw().integers(-127, 128, (OUT, IN)).astype("i1")
    scb = draw(1).uniform(0.01, 0.1, OUT).astype("<f4")
    tensors = named(weight=("I8", codes), SCB=("F32", scb))
    return Written(tensors, codes * (scb.astype("f8") / 127)[:, None], {"load_in_8bit": True})


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
