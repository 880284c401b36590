"""Formats that a weight may be stored in: the tensors that stand for it, its bytes and bits.

A format is a rule from outputs and inputs to tensors, scales and zeros among them. Sizes are those
of the programs that write them: GPTQ, llm-compressor, bitsandbytes, ModelOpt, llama.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import NamedTuple

from ckptscan.errors import UsageError


class Part(NamedTuple):
    """One tensor of a weight: its name, dtype, shape; `is_book` for scales and zeros."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_book: bool = True

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return prod(self.shape) * _WIDTHS[self.dtype]


def packed(name: str, dtype: str, shape: tuple[int, ...]) -> Part:
    """The tensor that holds the weights themselves."""
    return Part(name, dtype, shape, is_book=False)


class Format(NamedTuple):
    """How weights are stored: `bits` of one without its scales, bytes of one as a formula.

    `scheme` is what kernels call it; `parts` gives the tensors of (outputs, inputs). `is_flat`
    says that the weight is one run of values without rows.
    """

    name: str
    bits: float
    formula: str
    scheme: str
    parts: Callable[[int, int], tuple[Part, ...]]
    is_flat: bool = False

    def nbytes(self, out: int, into: int) -> int:
        """Bytes of one weight with its scales."""
        return sum(part.nbytes for part in self.parts(out, into))


_WIDTHS = {"U8": 1, "I8": 1, "F8_E4M3": 1, "F16": 2, "BF16": 2, "F32": 4, "I32": 4}
# block of values, bytes of a block: gguf 0.19 constants.py, GGML_QUANT_SIZES
GGUF = {
    "q4_0": (32, 18), "q4_1": (32, 20), "q5_0": (32, 22), "q5_1": (32, 24), "q8_0": (32, 34),
    "q2_k": (256, 84), "q3_k": (256, 110), "q4_k": (256, 144), "q5_k": (256, 176),
    "q6_k": (256, 210), "iq4_nl": (32, 18), "iq4_xs": (256, 136),
}  # fmt: skip
# what llama.cpp takes where the inputs are no multiple of the block: llama-quant.cpp
_NARROWER = {"q2_k": "iq4_nl", "q3_k": "iq4_nl", "iq4_xs": "iq4_nl", "q4_k": "q5_0",
             "q5_k": "q5_1", "q6_k": "q8_0"}  # fmt: skip
_GGUF_BITS = {"iq4_nl": 4.0, "iq4_xs": 4.0}
_GROUPED = re.compile(r"int(4|8)-?g(\d{1,5})", re.ASCII)  # int4-g128
_FP4_PACK, _NF4_BLOCK, _NF4_OUTER = 2, 64, 256
_FP8_BLOCK = 128


def _up(value: int, size: int) -> int:
    return -(-value // size)


def _plain(dtype: str) -> Callable[[int, int], tuple[Part, ...]]:
    return lambda out, into: (packed("weight", dtype, (out, into)),)


def _channel(dtype: str) -> Callable[[int, int], tuple[Part, ...]]:
    """Eight bits with a scale of 32 bits for each output: w8a8, FP8-dynamic."""
    return lambda out, into: (
        packed("weight", dtype, (out, into)),
        Part("weight_scale", "F32", (out, 1)),
    )


def _fp8_block(out: int, into: int) -> tuple[Part, ...]:
    scales = (_up(out, _FP8_BLOCK), _up(into, _FP8_BLOCK))
    return (
        packed("weight", "F8_E4M3", (out, into)),
        Part("weight_scale_inv", "F32", scales),
    )


def _grouped(bits: int, group: int) -> Callable[[int, int], tuple[Part, ...]]:
    """GPTQ's and AWQ's tensors: inputs first, 32 bits of values together, a zero for a group."""
    pack = 32 // bits

    def parts(out: int, into: int) -> tuple[Part, ...]:
        groups = _up(into, group)
        return (
            packed("qweight", "I32", (_up(into, pack), out)),
            Part("scales", "F16", (groups, out)),
            Part("qzeros", "I32", (groups, _up(out, pack))),
        )

    return parts


def _nf4(out: int, into: int) -> tuple[Part, ...]:
    numel = out * into
    return (
        packed("weight", "U8", (_up(numel, 2), 1)),
        Part("weight.absmax", "F32", (_up(numel, _NF4_BLOCK),)),
    )


def _nf4_twice(out: int, into: int) -> tuple[Part, ...]:
    blocks = _up(out * into, _NF4_BLOCK)
    return (
        packed("weight", "U8", (_up(out * into, 2), 1)),
        Part("weight.absmax", "U8", (blocks,)),
        Part("weight.nested_absmax", "F32", (_up(blocks, _NF4_OUTER),)),
    )


def _mxfp4(out: int, into: int) -> tuple[Part, ...]:
    return (
        packed("weight_packed", "U8", (out, _up(into, _FP4_PACK))),
        Part("weight_scale", "U8", (out, _up(into, 32))),
    )


def _nvfp4(out: int, into: int) -> tuple[Part, ...]:
    return (
        packed("weight_packed", "U8", (out, _up(into, _FP4_PACK))),
        Part("weight_scale", "F8_E4M3", (out, _up(into, 16))),
        Part("weight_scale_2", "F32", ()),
    )


def _gguf(name: str) -> Callable[[int, int], tuple[Part, ...]]:
    def parts(out: int, into: int) -> tuple[Part, ...]:
        block, size = GGUF[name]
        if into % block and name in _NARROWER:
            block, size = GGUF[_NARROWER[name]]
        if into % block:
            return (packed("weight", "F16", (out, into)),)
        return (packed("qweight_blocks", "U8", (out, into // block * size)),)

    return parts


_FIXED = {
    "bf16": Format("bf16", 16, "2 B", "", _plain("BF16")),
    "int8": Format("int8", 8, "(1 + 4 / inputs) B", "int8", _channel("I8")),
    "fp8": Format("fp8", 8, "(1 + 4 / inputs) B", "fp8", _channel("F8_E4M3")),
    "fp8-block": Format("fp8-block", 8, "(1 + 4 / 128 / 128) B", "fp8", _fp8_block),
    "nf4": Format("nf4", 4, "(0.5 + 4 / 64) B", "bitsandbytes", _nf4, is_flat=True),
    "nf4-dq": Format("nf4-dq", 4, "(0.5 + 1 / 64 + 4 / 64 / 256) B", "bitsandbytes", _nf4_twice,
                     is_flat=True),
    "mxfp4": Format("mxfp4", 4, "(0.5 + 1 / 32) B", "mxfp4", _mxfp4),
    "nvfp4": Format("nvfp4", 4, "(0.5 + 1 / 16) B + 4 B a tensor", "nvfp4", _nvfp4),
}  # fmt: skip
_ALIASES = {"int4": "int4-g128", "gptq": "int4-g128", "awq": "int4-g128", "w8a8": "int8",
            "w4a16": "int4-g128", "fp8-dynamic": "fp8", "fp16": "bf16", "f16": "bf16",
            "fp8-channel": "fp8", "bitsandbytes": "nf4"}  # fmt: skip
NAMES = (*_FIXED, "int4-g128", "int4-g64", "int4-g32", "int8-g128", *GGUF)


def known_format(name: str) -> Format | None:
    """The format of this name; None where there is none."""
    plain = name.strip().lower()
    plain = _ALIASES.get(plain, plain)
    if plain in _FIXED:
        return _FIXED[plain]
    if plain in GGUF:
        block, size = GGUF[plain]
        bits = float(re.sub(r"\D.*", "", plain.lstrip("iq")))
        return Format(plain, bits, f"{size} / {block} B", "gguf", _gguf(plain))
    match = _GROUPED.fullmatch(plain)
    if match is None or not int(match[2]):
        return None
    bits, group = int(match[1]), int(match[2])
    formula = f"({bits / 8:g} + 2 / {group} + {bits / 8:g} / {group}) B"
    return Format(f"int{bits}-g{group}", bits, formula, "gptq", _grouped(bits, group))


def format_named(name: str) -> Format:
    """The format of this name; raises UsageError with the nearest names."""
    found = known_format(name)
    if found is not None:
        return found
    raise unknown_format(name, NAMES)


def unknown_format(name: str, names: tuple[str, ...]) -> UsageError:
    """The error for a name that is no format."""
    import difflib

    near = difflib.get_close_matches(name.strip().lower()[:40], names, 3, 0.5) or [*names[:8]]
    return UsageError(f"no format is called {name[:40]!r}", f"nearest: {', '.join(near)}")
