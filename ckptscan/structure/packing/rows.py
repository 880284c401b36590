"""Weights whose rows are bit streams in words: compressed-tensors' pack-quantized, and MLX.

Both pack along in, so that words alone do not tell the width: 16 words a group are 128 weights of
4 bits or 64 of 8.
"""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.structure.packing.fp4 import read_fp4
from ckptscan.structure.packing.guesses import GROUPS, Guess, group_of, settle, widths
from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    PEEKED,
    Bundle,
    Matrix,
    Packing,
    ceil_div,
    numel_of,
    peeked_shape,
)

PACKED_LEAVES = frozenset(
    "weight_packed weight_scale weight_shape weight_zero_point weight_g_idx weight_global_scale "
    "scale_packed meta".split()
)
MLX_LEAVES = frozenset("weight scales biases qbiases".split())

# mlx.core.quantize, table of modes: affine has biases, the other modes have scales of one byte
_AFFINE = tuple((group, bits) for group in (32, 64, 128) for bits in (2, 3, 4, 5, 6, 8))
_MODES = {"nvfp4": (16, 4), "mxfp4": (32, 4), "mxfp8": (32, 8)}


def read_packed(bundle: Bundle) -> Packing | None:
    """A weight called weight_packed: compressed-tensors' integers, FP4 or Marlin 2:4."""
    packed = bundle.matrix("weight_packed")
    if packed is None:
        return None
    if bundle.dtype("weight_packed") in ("U8", "I8", "F4"):
        return read_fp4(bundle, "weight_packed", "weight_scale")
    if bundle.dtype("weight_packed") not in ("I32", "U32"):
        return None
    if "scale_packed" in bundle.kinds:
        return _marlin_24(bundle, packed)
    return _pack_quantized(bundle, packed)


def _marlin_24(bundle: Bundle, packed: Matrix) -> Packing | None:
    """2:4 sparse Marlin: half of in is stored, in tiles of 16; the logical weight is whole.

    (in / 32, out x 16 x bits / 32): compressed-tensors marlin_24.py, pack_weight_24.
    """
    scales = bundle.matrix("scale_packed")
    if scales is None:
        return None
    bits, rest = divmod(32 * packed.cols, 16 * scales.cols)
    if rest or bits not in (4, 8):
        return None
    shape = (*packed.lead, scales.cols, 32 * packed.rows)
    return Packing(
        "marlin-24",
        bits,
        group_of(shape[-1], scales.rows),
        shape,
        numel_of(shape),
        bundle.own["weight_packed"],
        formula=f"in = 32 x {packed.rows:,} rows, half of it stored; "
        f"bits = 32 x {packed.cols:,} / (16 x {scales.cols:,}) = {bits}",
    )


def _pack_quantized(bundle: Bundle, packed: Matrix) -> Packing:
    """Integers of 1 to 8 bits, ceil(in x bits / 32) words a row; weight_shape tells in."""
    problems = _scale_problems(bundle, packed)
    index = (bundle.shape("weight_g_idx") or (0,))[-1]
    guesses = list(_guesses(bundle, packed, index))
    label = EXACT if index or (bundle.shape("weight_scale") or (1,))[-1] > 1 else INFERRED
    stated = peeked_shape(bundle.peeked("weight_shape"))
    if stated is not None:
        agreed = list(_guesses(bundle, packed, stated[-1]))
        if agreed and (packed.rows, stated[-1]) == stated[-2:]:
            guesses, label = agreed, PEEKED
        else:
            own = bundle.own["weight_shape"]
            problems += (f"{own} says {stated}, {bundle.shown('weight_packed')} holds other",)
    guess, decided = settle(guesses, bundle.hints)
    if label != PEEKED and decided != EXACT:
        label = decided
    wide = guess.wide if guess else stated[-1] if stated and label == PEEKED else None
    shape = None if wide is None else (*packed.lead, packed.rows, wide)
    bits = guess.bits if guess else None
    return Packing(
        "pack-quantized",
        bits,
        guess.group if guess else None,
        shape,
        numel_of(shape),
        bundle.own["weight_packed"],
        label=label,
        formula="bits are open: weight_shape is not read"
        if wide is None
        else f"in = {wide:,}; bits = floor(32 x {packed.cols:,} / {wide:,}) = {bits}",
        problems=problems,
    )


def _scale_problems(bundle: Bundle, packed: Matrix) -> tuple[str, ...]:
    """What is wrong with weight_scale, which has a row for each of the weight's."""
    if "weight_scale" not in bundle.kinds:
        return (f"{bundle.own['weight_packed']} without weight_scale",)
    scale = bundle.shape("weight_scale") or (1,)
    rows = scale[0] if len(scale) == 1 else scale[-2]
    fits = rows in (1, packed.rows)
    return () if fits else (bundle.misfit("weight_scale", "weight_packed"),)


def _guesses(bundle: Bundle, packed: Matrix, index: int) -> Iterator[Guess]:
    """Each width that words, scales and zero points allow; `index` is in where it is known."""
    scale = bundle.matrix("weight_scale")
    groups = scale.cols if scale else 1
    sizes = dict.fromkeys((*GROUPS, max(bundle.hints.group or 8, 8)))
    zeros = bundle.matrix("weight_zero_point")
    allowed = widths(zeros.rows, packed.rows, 32) if zeros else []
    for bits in allowed or range(1, 9):
        wides: dict[int, int | None] = {index: group_of(index, groups)}
        if not index and groups == 1:
            wides = {32 * packed.cols // bits: None}  # as if no word were padded
        elif not index:
            wides = {groups * size: size for size in sizes}
        for wide, group in wides.items():
            if ceil_div(wide * bits, 32) == packed.cols:
                yield Guess(bits, wide, group)


def read_mlx(bundle: Bundle) -> Packing | None:
    """MLX: words of 32 bits with `scales`, and `biases` where the mode is affine."""
    weight, scales = bundle.matrix("weight"), bundle.matrix("scales")
    if weight is None or bundle.dtype("weight") != "U32" or "scales" not in bundle.kinds:
        return None
    own = bundle.own["weight"]
    fits = scales is not None and scales[:2] == weight[:2] and weight.cols % scales.cols == 0
    if scales is None or not fits:
        problem = bundle.misfit("scales", "weight")
        return Packing("mlx", None, None, None, None, own, formula="", problems=(problem,))
    words = weight.cols // scales.cols
    table = _AFFINE if bundle.first("biases", "qbiases") else tuple(_MODES.values())
    guesses = [
        Guess(bits, scales.cols * group, group)
        for group, bits in table
        if group * bits == 32 * words
    ]
    guess, label = settle(guesses, bundle.hints)
    shape = None if guess is None else (*weight.lead, weight.rows, guess.wide)
    said = f"{words} words a scale"
    return Packing(
        "mlx",
        guess.bits if guess else None,
        guess.group if guess else None,
        shape,
        numel_of(shape),
        own,
        label=label,
        formula=f"{said} = {guess.group} x {guess.bits} bits; in = {scales.cols:,} x {guess.group}"
        if guess
        else f"{said}: bits and group are open",
    )
