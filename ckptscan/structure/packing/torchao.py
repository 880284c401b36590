"""torchao's tensor subclasses, flattened: `_weight_qdata` with `_weight_scale` and its kin.

Layouts: torchao quantization/quantize_/workflows and prototype/mx_formats. The header's metadata
names the class; here the shapes of data and scale tell it.
"""

from __future__ import annotations

from ckptscan.structure.packing.fp4 import fp4_of
from ckptscan.structure.packing.guesses import group_of
from ckptscan.structure.packing.scaled import granularity
from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    Bundle,
    Packing,
    Shape,
    numel_of,
)

TORCHAO_LEAVES = frozenset(
    "weight_qdata weight_scale weight_zero_point weight_scale_and_zero weight_act_pre_scale "
    "weight_per_tensor_scale weight_act_per_tensor_scale weight_act_quant_scale "
    "weight_act_quant_zero_point".split()
)
_DATA, _SCALE, _TILES = "weight_qdata", "weight_scale", "weight_scale_and_zero"


def read_torchao(bundle: Bundle) -> Packing | None:
    """A weight whose data are called qdata."""
    stored = bundle.shape(_DATA)
    if stored is None:
        return None
    for layout in (_tiled, _fp4, _int4):
        found = layout(bundle, stored)
        if found is not None:
            return found
    dtype = bundle.kinds[_DATA].dtype
    if dtype.bits != 8 or dtype.name == "U8":
        problem = f"{bundle.shown(_DATA)}: no layout fits"
        return _packing(bundle, None, None, None, "no layout fits", INFERRED, (problem,))
    scale = bundle.shape(_SCALE)
    group, fits = (None, False) if scale is None else granularity(stored, scale)
    problems: tuple[str, ...] = ()
    if not fits:
        problems = (
            bundle.misfit(_SCALE, _DATA) if scale else f"{bundle.own[_DATA]} without {_SCALE}",
        )
    # IntxUnpackedToInt8Tensor: fewer bits in whole bytes, the config tells how many
    is_intx = dtype.name == "I8" and isinstance(group, int) and "weight_zero_point" in bundle.kinds
    bits = bundle.hints.bits if is_intx else 8
    return _packing(bundle, bits, group, stored, "the shape as stored", EXACT, problems)


def _packing(
    bundle: Bundle,
    bits: int | None,
    group: int | Shape | None,
    shape: Shape | None,
    formula: str,
    label: str = EXACT,
    problems: tuple[str, ...] = (),
) -> Packing:
    own = bundle.own[_DATA]
    return Packing(
        "torchao", bits, group, shape, numel_of(shape), own, frozenset(), label, formula, problems
    )


def _tiled(bundle: Bundle, stored: Shape) -> Packing | None:
    """Int4TilePackedTo4dTensor: [n / 8][k / (inner x 16)][32][inner / 2], padded."""
    tiles = bundle.shape(_TILES)
    if tiles is None or len(stored) < 4 or len(tiles) < 3 or not all(stored):
        return None
    high, wide, _, half = stored[-4:]
    shape = (*stored[:-4], 8 * high, 32 * wide * half)
    return _packing(
        bundle,
        4,
        group_of(shape[-1], tiles[-3]),
        shape,
        f"out = 8 x {high:,}; in = {32 * half} x {wide:,}, both may be padded",
        INFERRED,
    )


def _fp4(bundle: Bundle, stored: Shape) -> Packing | None:
    """NVFP4Tensor and MXTensor of FP4: two values a byte."""
    if bundle.dtype(_DATA) not in ("U8", "F4"):
        return None
    found = fp4_of(bundle, _DATA, _SCALE)
    return None if found is None else found._replace(scheme="torchao")


def _int4(bundle: Bundle, stored: Shape) -> Packing | None:
    """Int4Tensor (n, k / 2), Int4PlainInt32Tensor (n, k / 8): the scale is turned, (k / g, n)."""
    data, scale = bundle.matrix(_DATA), bundle.matrix(_SCALE)
    values = {"I8": 2, "U8": 2, "I32": 8}.get(bundle.dtype(_DATA))
    if data is None or scale is None or values is None:
        return None
    if scale.lead != data.lead or scale.cols != data.rows or scale.rows == data.rows:
        return None
    wide = values * data.cols
    if wide % scale.rows:
        return None
    return _packing(
        bundle,
        4,
        group_of(wide, scale.rows),
        (*data.lead, data.rows, wide),
        f"in = {values} x {data.cols:,}; the scale is (in / group, out)",
    )
