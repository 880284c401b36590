"""Weights that are looked up: AQLM, VPTQ, SpQR, HIGGS.

What the codes leave open stays unknown: VPTQ pads outputs, SpQR pads tiles.
"""

from __future__ import annotations

from ckptscan.structure.packing.guesses import group_of
from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    Bundle,
    Packing,
    ceil_div,
    numel_of,
)

AQLM_LEAVES = frozenset("codes codebooks scales".split())
VPTQ_LEAVES = frozenset(
    "indices res_indices outlier_indices perm weight_scale weight_bias centroids.weight "
    "res_centroids.weight outlier_centroids.weight".split()
)
MAX_BITS = 16  # of a weight; a real one takes 1 to 4
SPQR_LEAVES = frozenset("dense_weights row_offsets col_vals in_perm".split())
HIGGS_LEAVES = frozenset("weight scales tables tables2".split())


def read_aqlm(bundle: Bundle) -> Packing | None:
    """AQLM: codes (out groups, in groups, books), codebooks (books, size, out, in of a group).

    aqlm inference.py, QuantizedLinear. Kernels on the CPU turn the first two axes of the codes;
    `scales`, one for each out group, tell.
    """
    codes, books = bundle.shape("codes"), bundle.shape("codebooks")
    if codes is None or books is None or len(codes) != 3 or len(books) != 4:
        return None
    outs, ins, count = codes
    scales = bundle.shape("scales") or (outs,)
    problems: tuple[str, ...] = ()
    if outs != scales[0]:
        if ins == scales[0]:
            outs, ins = ins, outs
        else:
            problems = (bundle.misfit("scales", "codes"),)
    if count != books[0]:
        problems += (bundle.misfit("codebooks", "codes"),)
    _, size, high, wide = books
    shape = (outs * high, ins * wide)
    code_bits = (size - 1).bit_length() * count
    bits, rest = divmod(code_bits, high * wide or 1)
    return Packing(
        "aqlm",
        bits if not rest and 0 < bits <= MAX_BITS else None,
        None,
        shape,
        numel_of(shape),
        bundle.own["codes"],
        label=INFERRED if problems else EXACT,
        formula=f"out = {outs:,} x {high}; in = {ins:,} x {wide}",
        problems=problems,
    )


def read_vptq(bundle: Bundle) -> Packing | None:
    """VPTQ: in is the length of weight_scale or perm; out is padded, a bias or the model tells.

    vptq layers/vqlinear.py, VQuantLinear.
    """
    if not {"indices", "centroids.weight"} <= bundle.kinds.keys():
        return None
    column = bundle.first("weight_scale", "perm")
    wide = (bundle.shape(column) or (0,))[0] if column else 0
    bias = bundle.shape("bias") or (0,)
    out = bias[0]
    if not out and bundle.hints.faces_out:
        out = max(bundle.hints.hidden or 0, 0)
    shape = (out, wide) if out and wide else None
    return Packing(
        "vptq",
        None,
        None,
        shape,
        numel_of(shape),
        bundle.own["indices"],
        label=INFERRED,
        formula=f"in = {wide:,} entries of {column}; out is padded" if wide else "no side is known",
    )


def read_spqr(bundle: Bundle) -> Packing | None:
    """SpQR: 16 weights of 3 bits in each I64; row_offsets has out + 1 entries, in_perm has in.

    spqr_quant inference.py, QuantizedLinear; row_offsets may be in another form, then they differ.
    """
    dense = bundle.shape("dense_weights")
    if dense is None or "col_vals" not in bundle.kinds:
        return None
    out = (bundle.shape("row_offsets") or (0,))[0] - 1
    wide = (bundle.shape("in_perm") or (0,))[0]
    stored = bundle.kinds["dense_weights"].numel
    if not wide and out > 0:
        # tiles of 16 x 16, each 16 words
        wide = 16 * (stored // (16 * ceil_div(out, 16)))
    fits = out > 0 and wide > 0 and stored == 16 * ceil_div(out, 16) * ceil_div(wide, 16)
    shape = (out, wide) if fits else None
    return Packing(
        "spqr",
        3,
        16,
        shape,
        numel_of(shape),
        bundle.own["dense_weights"],
        label=EXACT if fits and "in_perm" in bundle.kinds else INFERRED,
        formula=f"out = {out:,} row_offsets - 1; in = {wide:,}" if fits else "tiles are padded",
    )


def read_higgs(bundle: Bundle) -> Packing | None:
    """HIGGS by FLUTE: I16 (out x bits / 16, in), 2 ** bits entries in tables.

    transformers integrations/higgs.py, HiggsLinear.
    """
    weight, scales, table = (bundle.shape(leaf) for leaf in ("weight", "scales", "tables"))
    if weight is None or scales is None or table is None or bundle.dtype("weight") != "I16":
        return None
    if len(weight) != 2 or len(scales) != 2 or len(table) != 1:
        return None
    bits = (table[0] - 1).bit_length() if table[0] > 0 else 0
    shape = (scales[0], weight[1])
    fits = bits > 0 and scales[0] * bits == 16 * weight[0]
    return Packing(
        "higgs",
        bits or None,
        group_of(weight[1], scales[1]),
        shape,
        numel_of(shape),
        bundle.own["weight"],
        label=EXACT if fits else INFERRED,
        formula=f"out = {scales[0]:,} rows of scales = 16 x {weight[0]:,} / {bits} bits",
        problems=() if fits else (bundle.misfit("scales", "weight"),),
    )
