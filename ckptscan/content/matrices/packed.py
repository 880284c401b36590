"""How a weight is packed, and the tensors that hold it -> its matrices, where we unpack them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

from ckptscan.content.matrices.scaled import Blocks, Bytes, Pairs
from ckptscan.content.matrices.values import Field, Matrix, is_readable
from ckptscan.content.matrices.words import Awq, Gptq, Rows
from ckptscan.header import Kind
from ckptscan.structure.packing import Packing
from ckptscan.structure.packing.scaled import block_edges

_SCALES = ("weight_scale", "weight_scale_inv", "scale", "scale_weight", "weight_scales")
_STATE = "weight.quant_state.bitsandbytes__"


class Bundle(NamedTuple):
    """The tensors of one packed weight by their usual names: rows of the table, and what they are.

    `shape` is the logical one, (out, in) after what numbers a stack. `format` is what the config
    calls the layout where it has several.
    """

    packing: Packing
    shape: tuple[int, ...]
    rows: Mapping[str, int]
    kinds: Mapping[str, Kind]
    format: str = ""

    @property
    def lead(self) -> int:
        """How many matrices a stack has."""
        return prod(self.shape[:-2])

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns of each."""
        return self.shape[-2], self.shape[-1]

    def first(self, *leaves: str) -> str | None:
        """The first of these leaves that is there."""
        return next((leaf for leaf in leaves if leaf in self.rows), None)

    def field(
        self, leaf: str | None, rows: int, columns: int, number: int = 0, dtype: str = ""
    ) -> Field:
        """A leaf as so many rows and columns, those of one matrix; raises _Unfit."""
        kind = self.kinds.get(leaf or "")
        if leaf is None or kind is None:
            raise _Unfit
        name = dtype or kind.dtype.name
        if not is_readable(name):
            raise _Unfit
        found = Field(self.rows[leaf], columns, name)
        size = rows * columns * found.width
        if not size or kind.nbytes != size * self.lead:
            raise _Unfit
        return found._replace(start=size * number)

    def flat(self, leaf: str | None, dtype: str = "") -> Field:
        """A leaf as one row; raises _Unfit."""
        kind = self.kinds.get(leaf or "")
        if kind is None:
            raise _Unfit
        return self.field(leaf, 1, kind.nbytes if dtype == "U8" else kind.numel, 0, dtype)

    def optional(self, leaf: str, rows: int, columns: int, number: int) -> Field | None:
        """The same, None where the leaf is missing."""
        return self.field(leaf, rows, columns, number) if leaf in self.rows else None


class _Unfit(Exception):
    """The tensors of a weight do not fit each other."""


def packed(bundle: Bundle) -> list[Matrix] | None:
    """The matrices of a packed weight, one after the other; None where we can't unpack it."""
    unpack = _READERS.get(bundle.packing.scheme)
    if unpack is None or len(bundle.shape) < 2 or not prod(bundle.shape):
        return None
    try:
        return [unpack(bundle, number) for number in range(bundle.lead)]
    except _Unfit:
        return None


def _group(bundle: Bundle) -> tuple[int, int]:
    """Weights along in that share a scale, and how many such groups there are."""
    columns = bundle.shape[-1]
    group = bundle.packing.group
    if isinstance(group, tuple):
        raise _Unfit
    size = min(group or columns, columns)
    return size, -(-columns // size)


def _words(count: int, bits: int | None) -> int:
    """Words of 32 bits that hold so many codes."""
    if not bits:
        raise _Unfit
    return -(-count * bits // 32)


def _gptq(bundle: Bundle, number: int) -> Matrix:
    (rows, columns), bits = bundle.matrix, bundle.packing.bits or 0
    group, groups = _group(bundle)
    return Gptq(
        bundle.matrix,
        bits,
        group,
        groups,
        bundle.field("qweight", _words(columns, bits), rows, number),
        bundle.field("scales", groups, rows, number),
        bundle.optional("qzeros", groups, _words(rows, bits), number),
        bundle.optional("g_idx", 1, columns, number),
        0 if bundle.format == "gptq_v2" else 1,
    )


def _awq(bundle: Bundle, number: int) -> Matrix:
    rows, columns = bundle.matrix
    group, groups = _group(bundle)
    if bundle.packing.bits != 4 or rows % 8:
        raise _Unfit
    return Awq(
        bundle.matrix,
        group,
        bundle.field("qweight", columns, rows // 8, number),
        bundle.field("scales", groups, rows, number),
        bundle.optional("qzeros", groups, rows // 8, number),
    )


def _rows(bundle: Bundle, number: int) -> Matrix:
    (rows, columns), bits = bundle.matrix, bundle.packing.bits or 0
    group, groups = _group(bundle)
    if not bits or 32 % bits:
        raise _Unfit  # compressed-tensors pads words of 3 bits, which a stream does not
    return Rows(
        bundle.matrix,
        bits,
        group,
        bundle.field("weight_packed", rows, _words(columns, bits), number),
        bundle.field("weight_scale", rows, groups, number),
        bundle.optional("weight_zero_point", _words(rows, bits), groups, number),
        order=bundle.optional("weight_g_idx", 1, columns, number),
    )


def _mlx(bundle: Bundle, number: int) -> Matrix:
    (rows, columns), bits = bundle.matrix, bundle.packing.bits or 0
    group, groups = _group(bundle)
    return Rows(
        bundle.matrix,
        bits,
        group,
        bundle.field("weight", rows, _words(columns, bits), number),
        bundle.field("scales", rows, groups, number),
        biases=bundle.field("biases", rows, groups, number),
    )


def _bytes(bundle: Bundle, number: int) -> Matrix:
    """FP8 and INT8; without a scale the codes are the numbers."""
    rows, columns = bundle.matrix
    weight = bundle.field("weight", rows, columns, number)
    leaf = bundle.first(*_SCALES)
    if "weight_zero_point" in bundle.rows:
        raise _Unfit
    if leaf is None:
        return Bytes(bundle.matrix, weight, None, (1, 1))
    scale = bundle.kinds[leaf]
    if scale.dtype.name == "U8":
        raise _Unfit  # exponents
    edges = block_edges(bundle.shape, scale.shape)
    if edges is None:
        raise _Unfit
    high, wide = edges[-2:]
    grid = -(-rows // high), -(-columns // wide)
    if scale.numel == 1:
        one = Field(bundle.rows[leaf], 1, scale.dtype.name)
        return Bytes(bundle.matrix, weight, one, (rows, columns))
    return Bytes(bundle.matrix, weight, bundle.field(leaf, *grid, number), (high, wide))


def _bnb_int8(bundle: Bundle, number: int) -> Matrix:
    """A scale an output, of the largest magnitude: bitsandbytes functional.py, int8_vectorwise."""
    rows, columns = bundle.matrix
    weight = bundle.field("weight", rows, columns, number)
    scales = bundle.field(bundle.first("SCB", "weight.SCB"), rows, 1, number)
    return Bytes(bundle.matrix, weight, scales, (1, columns), 1 / 127)


def _pairs(bundle: Bundle, number: int) -> Matrix:
    rows, columns = bundle.matrix
    group, groups = _group(bundle)
    weight = bundle.first("weight_packed", "blocks", "weight")
    leaf = bundle.first("weight_scale", "scales", "scale")
    is_exponent = bundle.kinds[leaf].dtype.name in ("U8", "F8_E8M0") if leaf else False
    whole = bundle.first("weight_scale_2", "weight_global_scale")
    if columns % group or group % 2:
        raise _Unfit
    return Pairs(
        bundle.matrix,
        bundle.field(weight, rows, columns // 2, number, "U8"),
        bundle.field(leaf, rows, groups, number),
        group,
        is_exponent,
        _scalar(bundle, whole, number),
        whole == "weight_global_scale",
    )


def _scalar(bundle: Bundle, leaf: str | None, number: int) -> Field | None:
    """A scale of the whole matrix; of a stack one each, or one for all."""
    if leaf is None:
        return None
    if bundle.kinds[leaf].numel == 1:
        return Field(bundle.rows[leaf], 1, bundle.kinds[leaf].dtype.name)
    return bundle.field(leaf, 1, 1, number)


def _blocks(bundle: Bundle, number: int) -> Matrix:
    group = bundle.packing.group
    if not isinstance(group, int) or bundle.packing.bits != 4 or number or bundle.shape[-1] % 2:
        raise _Unfit
    states = [f"{_STATE}{kind}" for kind in ("nf4", "fp4")]
    is_nested = "weight.nested_absmax" in bundle.rows
    state = bundle.first(*states)
    count = -(-prod(bundle.shape) // group)
    if bundle.kinds["weight.absmax"].numel != count or bundle.kinds["weight.quant_map"].numel != 16:
        raise _Unfit
    if is_nested and bundle.kinds["weight.nested_absmax"].numel != -(-count // 256):
        raise _Unfit
    if is_nested and bundle.flat("weight.nested_quant_map").columns != 256:
        raise _Unfit
    return Blocks(
        bundle.matrix,
        group,
        bundle.flat("weight", "U8"),
        bundle.flat("weight.absmax"),
        bundle.flat("weight.quant_map"),
        bundle.flat("weight.nested_absmax") if is_nested else None,
        bundle.flat("weight.nested_quant_map") if is_nested else None,
        bundle.flat(state, "U8") if state and is_nested else None,
    )


# by the scheme's name, as structure.packing calls it
_READERS: Mapping[str, Callable[[Bundle, int], Matrix]] = {
    "gptq": _gptq,
    "awq": _awq,
    "pack-quantized": _rows,
    "mlx": _mlx,
    "fp8": _bytes,
    "fp8-block": _bytes,
    "int8": _bytes,
    "bnb-int8": _bnb_int8,
    "mxfp4": _pairs,
    "nvfp4": _pairs,
    "fp4-e8m0": _pairs,
    "bnb-nf4": _blocks,
    "bnb-fp4": _blocks,
}
