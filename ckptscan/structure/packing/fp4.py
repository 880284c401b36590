"""Two FP4 values a byte with a scale for 16 or 32 of them: NVFP4, MXFP4.

Names differ by writer, shapes do not: compressed-tensors `weight_packed`, ModelOpt and Quark
`weight`, gpt-oss `*_blocks`, DeepSeek-V4 `weight` as I8 with `scale`. The axis along which the
bytes are half as many as values is the one that the scales cut into groups.
"""

from __future__ import annotations

from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    Bundle,
    Packing,
    Shape,
    ceil_div,
    numel_of,
)

BLOCK_LEAVES = frozenset("blocks scales".split())
# microscaling: E8M0 exponents, as their own dtype or as plain bytes
EXPONENTS = frozenset("U8 F8_E8M0".split())


def read_blocks(bundle: Bundle) -> Packing | None:
    """MXFP4 as gpt-oss stores it: blocks (E, out, groups, 16), scales (E, out, groups)."""
    blocks, scales = bundle.shape("blocks"), bundle.shape("scales")
    if blocks is None or bundle.dtype("blocks") != "U8" or len(blocks) < 3:
        return None
    own = bundle.own["blocks"]
    problems: tuple[str, ...] = ()
    if scales is None:
        problems = (f"{own} without scales",)
    elif scales != blocks[:-1]:
        problems = (bundle.misfit("scales", "blocks"),)
    shape = (*blocks[:-2], 2 * blocks[-2] * blocks[-1])
    return Packing(
        "mxfp4",
        4,
        2 * blocks[-1],
        shape,
        numel_of(shape),
        own,
        label=INFERRED if problems else EXACT,
        formula=f"in = {blocks[-2]:,} blocks x {blocks[-1]} bytes x 2",
        problems=problems,
    )


def packed_axis(weight: Shape, scale: Shape, share: int) -> int | None:
    """The axis, -1 or -2, along which `share` bytes have one scale; None where neither is."""
    for axis in (-1, -2):
        if len(weight) < max(2, -axis) or len(scale) != len(weight):
            continue
        cut = list(scale)
        cut[axis] *= share
        if tuple(cut) == weight and weight[axis]:
            return axis
    return None


def is_swizzled(weight: Shape, scale: Shape) -> bool:
    """Whether the scales are NVFP4's, padded to tiles of 128 x 4 for the tensor cores.

    ComfyUI and torchao store them so: to_blocked in torchao prototype/mx_formats/utils.py.
    """
    if len(weight) != 2 or not all(weight):
        return False
    rows = 128 * ceil_div(weight[0], 128)
    cols = 4 * ceil_div(ceil_div(weight[1], 8), 4)
    return scale == (rows, cols)


def read_fp4(bundle: Bundle, weight: str, scale: str) -> Packing:
    """Bytes that are known to hold two values each."""
    found = fp4_of(bundle, weight, scale)
    if found is not None:
        return found
    problem = f"{bundle.own[weight]} without {scale}"
    if scale in bundle.kinds:
        problem = bundle.misfit(scale, weight)
    has_global = bundle.first("weight_global_scale", "weight_scale_2") is not None
    stored = bundle.shape(weight) or ()
    return _fp4(bundle, weight, "nvfp4" if has_global else "fp4", None, -1, stored)._replace(
        label=INFERRED, problems=(problem,)
    )


def fp4_of(bundle: Bundle, weight: str, scale: str) -> Packing | None:
    """Two values a byte, if the scales stand for 16 or 32 of them."""
    stored, scales = bundle.shape(weight), bundle.shape(scale)
    if stored is None or scales is None:
        return None
    has_exponents = bundle.dtype(scale) in EXPONENTS
    axis = packed_axis(stored, scales, 16)
    if axis is not None and has_exponents:
        scheme = "fp4-e8m0" if bundle.dtype(weight) == "I8" else "mxfp4"
        return _fp4(bundle, weight, scheme, 32, axis, stored)
    if bundle.dtype(scale) != "F8_E4M3" and not has_exponents:
        return None
    axis = packed_axis(stored, scales, 8)
    if axis is None and is_swizzled(stored, scales):
        axis = -1
    return None if axis is None else _fp4(bundle, weight, "nvfp4", 16, axis, stored)


def _fp4(
    bundle: Bundle, weight: str, scheme: str, group: int | None, axis: int, stored: Shape
) -> Packing:
    """The packing of these bytes, whose axis `axis` has two values each.

    The F4 dtype of the format counts values already.
    """
    shape = list(stored)
    if bundle.dtype(weight) != "F4":
        shape[axis] *= 2
    return Packing(
        scheme,
        4,
        group,
        tuple(shape),
        numel_of(tuple(shape)),
        bundle.own[weight],
        formula=f"{'in' if axis == -1 else 'rows'} = 2 x {stored[axis]:,} bytes",
    )
