"""A weight of one byte an element, or of FP4, FP6 and 2-bit values, with a scale beside it.

FP8 per tensor, channel, group and block, INT8, EETQ, BitNet, ModelOpt's int4. Eight-bit weights
have their logical shape as stored; the scale only tells the granularity.
"""

from __future__ import annotations

import math

from ckptscan.structure.packing.fp4 import EXPONENTS, fp4_of
from ckptscan.structure.packing.guesses import Guess, group_of, settle
from ckptscan.structure.packing.values import (
    CONFIG,
    EXACT,
    INFERRED,
    Bundle,
    Packing,
    Shape,
    ceil_div,
    numel_of,
)

SCALES = ("weight_scale", "weight_scale_inv", "scale", "scale_weight", "weight_scales")
SCALED_LEAVES = frozenset(
    (
        *SCALES,
        *"weight_scale_2 weight_global_scale weight_zero_point weight_g_idx weight_shape".split(),
    )
)
_FLOAT8 = frozenset("F8_E4M3 F8_E5M2 F8_E4M3FNUZ F8_E5M2FNUZ".split())
_FLOAT6 = frozenset("F6_E2M3 F6_E3M2".split())
# ComfyUI's mark that a file is scaled FP8, a tensor of that dtype but no weight
_MARKERS = frozenset({"scaled_fp8"})
_USUAL = (128, 64, 32, 16, 256, 512, 1024)  # block edges, the usual ones first


def read_scaled(bundle: Bundle) -> Packing | None:
    """A tensor `weight` with a scale, or without one if its dtype is a float of 8 bits or fewer."""
    dtype = bundle.dtype("weight")
    scale = bundle.first(*SCALES)
    if dtype in _FLOAT8:
        return _float8(bundle, scale)
    if dtype in _FLOAT6:
        return _as_stored(bundle, scale, "mxfp6", 6)
    if dtype == "F4":
        found = None if scale is None else fp4_of(bundle, "weight", scale)
        return found or _as_stored(bundle, scale, "fp4", 4)
    if scale is None:
        return None
    if dtype == "I8":
        return _int8(bundle, scale)
    return _bytes(bundle, scale) if dtype == "U8" else None


def _float8(bundle: Bundle, scale: str | None) -> Packing | None:
    if bundle.own["weight"] in _MARKERS:
        return None
    found = _as_stored(bundle, scale, "fp8", 8)
    if found.group == 32 and scale is not None and bundle.dtype(scale) in EXPONENTS:
        return found._replace(scheme="mxfp8")
    return found._replace(scheme="fp8-block") if isinstance(found.group, tuple) else found


def _int8(bundle: Bundle, scale: str) -> Packing:
    """Integers, or DeepSeek-V4's FP4 in I8: a row of in / 2 bytes with in / 32 exponents.

    EETQ stores the transpose, (in, out): transformers integrations/eetq.py.
    """
    stored, scales = bundle.shape("weight") or (), bundle.shape(scale) or ()
    if bundle.dtype(scale) == "F8_E8M0":
        found = fp4_of(bundle, "weight", scale)
        if found is not None:
            return found
    if scale == "weight_scales" and len(stored) == 2 and scales == stored[1:]:
        turned = stored[::-1]
        formula = f"stored as (in, out): {scales[0]:,} weight_scales = columns"
        own = bundle.own["weight"]
        return Packing("eetq", 8, None, turned, numel_of(turned), own, formula=formula)
    return _as_stored(bundle, scale, "int8", 8)


def _as_stored(bundle: Bundle, scale: str | None, scheme: str, bits: int) -> Packing:
    """One element a value: the shape is the logical one."""
    stored = bundle.shape("weight") or ()
    group: int | Shape | None = None
    fits = True
    if scale is not None:
        group, fits = granularity(stored, bundle.shape(scale) or ())
    return Packing(
        scheme,
        bits,
        group,
        stored,
        numel_of(stored),
        bundle.own["weight"],
        formula="the shape as stored",
        problems=() if fits or scale is None else (bundle.misfit(scale, "weight"),),
    )


def granularity(weight: Shape, scale: Shape) -> tuple[int | Shape | None, bool]:
    """The group or block that shares a scale, None for a tensor or channel; whether it fits."""
    edges = block_edges(weight, scale)
    return (None, False) if edges is None else (_group(weight, edges), True)


def block_edges(weight: Shape, scale: Shape) -> Shape | None:
    """How many elements share one scale along each axis; None where the scale does not fit."""
    if math.prod(scale) == 1 and all(scale):
        return weight
    along = aligned(weight, scale)
    if along is None:
        return None
    edges = [_edge(size, parts) for size, parts in zip(weight, along, strict=True)]
    known = tuple(edge for edge in edges if edge is not None)
    return known if len(known) == len(weight) else None


def aligned(weight: Shape, scale: Shape) -> Shape | None:
    """The scale's shape with an axis for each of the weight's."""
    while len(scale) > len(weight) and scale[-1] == 1:  # musubi-tuner: (out, blocks, 1)
        scale = scale[:-1]
    count = len(weight)
    if len(scale) == count:
        is_shards = count == 2 and scale[-1] == 1 and scale[0] in (2, 3)
        return (1, 1) if is_shards else scale
    if len(scale) == 1 and count >= 2:
        (size,) = scale
        for axis in (0, count - 1, count - 2):
            if weight[axis] == size:
                return (*(1,) * axis, size, *(1,) * (count - axis - 1))
        # a scale for each of the two or three projections that one tensor fuses
        return (1,) * count if size in (2, 3) else None
    if len(scale) == 2 and count == 3 and scale[0] == weight[0]:
        if scale[1] in (1, 2, 3, weight[1]):
            return (scale[0], weight[1] if scale[1] == weight[1] else 1, 1)
        return (scale[0], 1, scale[1]) if scale[1] == weight[2] else None
    return None


def _edge(size: int, parts: int) -> int | None:
    """The edge of the blocks that cut `size` into `parts`, ceil(size / edge) = parts."""
    if parts in (1, size):
        return 1 if parts == size else size
    if not 0 < parts < size:
        return None
    for edge in _USUAL:
        if ceil_div(size, edge) == parts:
            return edge
    return None if size % parts else size // parts


def _group(weight: Shape, edges: Shape) -> int | Shape | None:
    """The granularity: None per tensor, channel or expert, a group's size, or a block's edges."""
    if len(weight) < 2:
        return None
    (rows, cols), (high, wide) = weight[-2:], edges[-2:]
    if (wide == cols and high in (1, rows)) or (wide == 1 and high == rows):
        return None
    if 1 in (high, wide):
        return wide if high == 1 else high
    if high == rows <= wide:  # a matrix that is smaller than a block in one direction
        high = wide
    if wide == cols <= high:
        wide = high
    return (high, wide)


def _bytes(bundle: Bundle, scale: str) -> Packing | None:
    """U8: FP4, ModelOpt's int4, BitNet's two bits, or integers that nothing names."""
    stored, scales = bundle.matrix("weight"), bundle.shape(scale) or ()
    if stored is None:
        return None
    found = fp4_of(bundle, "weight", scale)
    if found is not None:
        return found
    if math.prod(scales) == 1:
        return _bitnet(bundle)
    grid = bundle.matrix(scale)
    if grid is None or grid.lead != stored.lead or bundle.dtype(scale) in EXPONENTS:
        return _unknown(bundle, scale)
    if grid.rows == 2 * stored.rows and stored.cols % grid.cols == 0:
        return _modelopt_int4(bundle, scale)
    share, rest = divmod(stored.cols, grid.cols)
    if grid.rows != stored.rows or rest:
        return _unknown(bundle, scale)
    guesses = [
        Guess(bits, stored.cols * 8 // bits, group_of(stored.cols * 8 // bits, grid.cols))
        for bits in (8, 4, 2)
    ]
    guess, label = settle(guesses, bundle.hints)
    shape = None if guess is None else (*stored.lead, stored.rows, guess.wide)
    own = bundle.own["weight"]
    return Packing(
        f"int{guess.bits}" if guess else "packed",
        guess.bits if guess else None,
        guess.group if guess else None,
        shape,
        numel_of(shape),
        own,
        label=label,
        formula=f"{share:,} bytes a scale: " + (f"{guess.bits} bits" if guess else "bits are open"),
    )


def _bitnet(bundle: Bundle) -> Packing:
    """Four ternary values a byte along out: transformers integrations/bitnet.py, pack_weights."""
    stored = bundle.shape("weight") or ()
    shape = (*stored[:-2], 4 * stored[-2], stored[-1])
    hidden, faces_out = bundle.hints.hidden, bundle.hints.faces_out
    fits = hidden is not None and shape[-2 if faces_out else -1] == hidden
    return Packing(
        "bitnet",
        2,
        None,
        shape,
        numel_of(shape),
        bundle.own["weight"],
        label=CONFIG if bundle.hints.method == "bitnet" and not fits else INFERRED,
        formula=f"out = 4 x {stored[-2]:,} rows of bytes, one scale",
    )


def _modelopt_int4(bundle: Bundle, scale: str) -> Packing:
    """Two outputs a byte: ModelOpt export/quant_utils.py, pack_int4_in_uint8."""
    stored, scales = bundle.shape("weight") or (), bundle.shape(scale) or ()
    shape = (*stored[:-2], 2 * stored[-2], stored[-1])
    return Packing(
        "modelopt-int4",
        4,
        group_of(shape[-1], scales[-1]),
        shape,
        numel_of(shape),
        bundle.own["weight"],
        label=EXACT,
        formula=f"out = {scales[-2]:,} rows of {scale} = 2 x {stored[-2]:,} rows of bytes",
    )


def _unknown(bundle: Bundle, scale: str) -> Packing:
    own = bundle.own["weight"]
    problem = bundle.misfit(scale, "weight")
    if bundle.first("weight_scale_2", "weight_global_scale"):
        shape = bundle.shape("weight") or ()
        doubled = (*shape[:-1], 2 * shape[-1])
        return Packing(
            "nvfp4",
            4,
            None,
            doubled,
            numel_of(doubled),
            own,
            label=INFERRED,
            formula=f"in = 2 x {shape[-1]:,} bytes",
            problems=(problem,),
        )
    return Packing(
        "packed",
        None,
        None,
        None,
        None,
        own,
        label=INFERRED,
        formula="no layout fits",
        problems=(problem,),
    )
