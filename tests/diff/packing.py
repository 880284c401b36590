"""Weights packed as quantizers do it, written from their formats and by no code of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.content.making import Arrays
from tests.diff.contents import floats, nearest

Array = NDArray[Any]
Packed = dict[str, tuple[str, Array]]
GROUP = 64
LINEAR = re.compile(r"(.+_proj)\.weight")
NF4 = np.array(
    [-1, -0.6961928, -0.52507305, -0.39491749, -0.28444138, -0.18477343, -0.09105004, 0,
     0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1], "f4"
)  # fmt: skip
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], "f4")


def quantized(arrays: Arrays, pack: Callable[[Array], Packed]) -> Arrays:
    """All linear weights packed; the tensors of each below its module."""
    found: Arrays = {}
    for name, (dtype, array) in arrays.items():
        match = LINEAR.fullmatch(name)
        if match is None:
            found[name] = dtype, array
            continue
        for leaf, one in pack(floats(array)).items():
            found[f"{match[1]}.{leaf}"] = one
    return found


def _asymmetric(weight: Array) -> tuple[Array, Array, Array]:
    """Codes (out, in), scales and zeros (out, groups) of 4 bits."""
    groups = weight.reshape(len(weight), -1, GROUP)
    low, high = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = ((high - low) / 15).astype("f2").astype("f4")
    zeros = np.clip(np.round(-low / scales), 0, 15)
    codes = np.clip(np.round(groups / scales[:, :, None]) + zeros[:, :, None], 0, 15)
    return codes.reshape(weight.shape).astype("u4"), scales, zeros.astype("u4")


def _along(codes: Array, axis: int, order: tuple[int, ...] = tuple(range(8))) -> Array:
    """Eight codes of 4 bits a word along an axis."""
    held = np.moveaxis(codes, axis, -1).reshape(*np.moveaxis(codes, axis, -1).shape[:-1], -1, 8)
    words = np.zeros(held.shape[:-1], "u4")
    for place, column in enumerate(order):
        words |= held[..., column].astype("u4") << np.uint32(4 * place)
    return np.ascontiguousarray(np.moveaxis(words, -1, axis)).view("<i4")


def gptq(weight: Array) -> Packed:
    """GPTQ's first format; inputs in an order of their own, as with desc_act."""
    order = np.random.default_rng(1).permutation(weight.shape[1])
    codes, scales, zeros = _asymmetric(weight[:, order])
    back = np.argsort(order)
    index = (np.arange(len(order)) // GROUP)[back]
    return {
        "qweight": ("I32", _along(codes[:, back].T, 0)),
        "qzeros": ("I32", _along(zeros.T - 1 & 0xF, 1)),
        "scales": ("F16", scales.T.astype("<f2").view("<u2")),
        "g_idx": ("I32", index.astype("<i4")),
    }


def awq(weight: Array) -> Packed:
    """AWQ's GEMM layout."""
    codes, scales, zeros = _asymmetric(weight)
    order = (0, 2, 4, 6, 1, 3, 5, 7)
    return {
        "qweight": ("I32", _along(codes.T, 1, order)),
        "qzeros": ("I32", _along(zeros.T, 1, order)),
        "scales": ("F16", scales.T.astype("<f2").view("<u2")),
    }


def pack_quantized(weight: Array) -> Packed:
    """compressed-tensors, symmetric."""
    groups = weight.reshape(len(weight), -1, GROUP)
    scales = floats(nearest(np.abs(groups).max(2) / 7.5))
    codes = np.clip(np.round(groups / scales[:, :, None]), -8, 7).reshape(weight.shape) + 8
    return {
        "weight_packed": ("I32", _along(codes.astype("u4"), 1)),
        "weight_scale": ("BF16", nearest(scales)),
        "weight_shape": ("I64", np.array(weight.shape, "<i8")),
    }


def fp8_block(weight: Array) -> Packed:
    """DeepSeek's blocks of 128 x 128."""
    rows, columns = weight.shape
    high, wide = -(-rows // 128), -(-columns // 128)
    scales = np.zeros((high, wide), "f4")
    codes = np.zeros(weight.shape, "u1")
    for top in range(high):
        for left in range(wide):
            block = weight[top * 128 : top * 128 + 128, left * 128 : left * 128 + 128]
            scale = np.abs(block).max() / 448
            scales[top, left] = scale
            codes[top * 128 : top * 128 + 128, left * 128 : left * 128 + 128] = e4m3(block / scale)
    return {"weight": ("F8_E4M3", codes), "weight_scale_inv": ("F32", scales)}


def fp8_channel(weight: Array) -> Packed:
    """A scale an output, in BF16."""
    scales = floats(nearest(np.abs(weight).max(1, keepdims=True) / 448))
    return {
        "weight": ("F8_E4M3", e4m3(weight / scales)),
        "weight_scale": ("BF16", nearest(scales)),
    }


def e4m3(numbers: Array) -> Array:
    """The nearest codes of E4M3."""
    codes = np.arange(0x7F)
    power, part = codes >> 3, codes & 7
    known = np.where(power, (8 + part) * 2.0 ** (power - 10.0), part * 2.0**-9)
    return _nearest(known, np.abs(numbers)) | (numbers < 0).astype("u1") << 7


def _nearest(known: Array, numbers: Array) -> Array:
    """The codes whose numbers, which ascend, are nearest."""
    return np.searchsorted((known[1:] + known[:-1]) / 2, numbers).astype("u1")


def int8(weight: Array) -> Packed:
    """A scale an output."""
    scales = np.abs(weight).max(1, keepdims=True) / 127
    codes = np.round(weight / scales).astype("i1")
    return {"weight": ("I8", codes), "weight_scale": ("F32", scales.astype("<f4"))}


def bnb_int8(weight: Array) -> Packed:
    """bitsandbytes: the largest magnitude of an output."""
    largest = np.abs(weight).max(1)
    codes = np.round(weight * 127 / largest[:, None]).astype("i1")
    return {
        "weight": ("I8", codes),
        "SCB": ("F32", largest.astype("<f4")),
        "weight_format": ("U8", np.zeros((), "u1")),
    }


def nf4(weight: Array) -> Packed:
    """bitsandbytes NF4, largest magnitudes quantized once more."""
    blocks = weight.reshape(-1, 64)
    largest = np.abs(blocks).max(1)
    offset = float(largest.mean())
    known = np.linspace(-1, 1, 256).astype("f4")
    chunks = np.resize(largest - offset, (-(-len(largest) // 256), 256))
    outer = np.abs(chunks).max(1)
    inner = _nearest(known, chunks / outer[:, None])
    codes = _nearest(NF4, blocks / largest[:, None]).reshape(-1)
    state = json.dumps({"quant_type": "nf4", "shape": weight.shape, "nested_offset": offset})
    return {
        "weight": ("U8", (codes[::2] << 4 | codes[1::2]).astype("u1")[:, None]),
        "weight.absmax": ("U8", inner.reshape(-1)[: len(largest)]),
        "weight.nested_absmax": ("F32", outer.astype("<f4")),
        "weight.nested_quant_map": ("F32", known),
        "weight.quant_map": ("F32", NF4),
        "weight.quant_state.bitsandbytes__nf4": ("U8", np.frombuffer(state.encode(), "u1")),
    }


def _e2m1(numbers: Array) -> Array:
    codes = _nearest(E2M1, np.abs(numbers)) | (numbers < 0).astype("u1") << 3
    return (codes[:, ::2] | codes[:, 1::2] << 4).astype("u1")


def mxfp4(weight: Array) -> Packed:
    """Exponents for 32 numbers, rounded down as the OCP specification has it."""
    groups = weight.reshape(len(weight), -1, 32)
    powers = np.floor(np.log2(np.abs(groups).max(2))) - 2
    scaled = (groups / 2.0 ** powers[:, :, None]).reshape(weight.shape)
    return {
        "weight_packed": ("U8", _e2m1(scaled)),
        "weight_scale": ("U8", (powers + 127).astype("u1")),
    }


def nvfp4(weight: Array) -> Packed:
    """compressed-tensors: FP8 scales for 16 numbers, and a divisor of the tensor."""
    whole = 448 * 6 / np.abs(weight).max()
    groups = weight.reshape(len(weight), -1, 16)
    codes = e4m3(np.abs(groups).max(2) / 6 * whole)
    power, part = codes >> 3, codes & 7
    scales = np.where(power, (8 + part) * 2.0 ** (power - 10.0), part * 2.0**-9) / whole
    scaled = (groups / scales[:, :, None]).reshape(weight.shape)
    return {
        "weight_packed": ("U8", _e2m1(scaled)),
        "weight_scale": ("F8_E4M3", codes),
        "weight_global_scale": ("F32", np.array([whole], "<f4")),
    }


PACKINGS = {
    one.__name__: one
    for one in (
        gptq, awq, pack_quantized, fp8_block, fp8_channel, int8, bnb_int8, nf4, mxfp4, nvfp4,
    )
}  # fmt: skip
