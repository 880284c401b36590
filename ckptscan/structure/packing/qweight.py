"""Weights in 32-bit words with `scales` and `qzeros`: GPTQ, AWQ, Marlin, QQQ and their kin.

GPTQ packs along in, AWQ along out, Marlin tiles of 16 x 16; the scales, one row a group and one
column an output, tell which. Layouts: AutoGPTQ nn_modules/qlinear, GPTQModel nn_modules/qlinear,
AutoAWQ awq/modules/linear, FP-Quant as transformers loads it.
"""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.structure.packing.guesses import Guess, group_of, settle, widths
from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    Bundle,
    Packing,
    Shape,
    ceil_div,
    numel_of,
)

# theta, pairs and channel_scales are ParoQuant's rotation, which lies over AWQ's layout
QWEIGHT_LEAVES = frozenset(
    "qweight scales qzeros zeros g_idx theta pairs channel_scales dqweight weight_global_scale "
    "act_global_scale forward_hadamard_matrix backward_hadamard_matrix".split()
)
MARLIN_LEAVES = frozenset("B s s_channel s_group workspace reduce_buffer".split())
_FLOATS = frozenset("F16 BF16 F32".split())
# a tile of Marlin: 16 rows of in become one row of words
_TILE = 16


class _Words(NamedTuple):
    """qweight as a matrix of words of `word` bits, and what stands beside it.

    `groups` and `wide` are the rows and columns of `scales`, `zeros` the columns of `qzeros`, each
    None where it is missing.
    """

    lead: Shape
    rows: int
    cols: int
    word: int
    groups: int | None
    wide: int | None
    zeros: int | None


def read_qweight(bundle: Bundle) -> Packing | None:
    """A weight called qweight, whatever its layout."""
    if "qweight" not in bundle.kinds:
        return None
    words = _words(bundle)
    if words is not None:
        for layout in _LAYOUTS:
            found = layout(bundle, words)
            if found is not None:
                return found
    problem = f"{bundle.own['qweight']} without scales"
    if "scales" in bundle.kinds:
        problem = bundle.misfit("scales", "qweight")
    scheme = "gptq" if "g_idx" in bundle.kinds else "packed"
    if bundle.hints.method in ("gptq", "awq", "gguf"):  # a config may say anything
        scheme = bundle.hints.method
    return _packing(bundle, scheme, None, None, None, "no layout fits", INFERRED, (problem,))


def read_marlin(bundle: Bundle) -> Packing | None:
    """Marlin's own names: `B` with `s` (AutoGPTQ), or with `s_channel` (QQQ)."""
    scales = bundle.first("s_channel", "s")
    tiles, out = bundle.matrix("B"), bundle.matrix(scales or "s")
    if tiles is None or out is None or scales is None:
        return None
    bits, rest = divmod(32 * tiles.cols, _TILE * out.cols)
    if bits not in (4, 8) or rest:
        return None
    grouped = bundle.matrix("s_group") if scales == "s_channel" else out
    return Packing(
        scheme="marlin" if scales == "s" else "qqq",
        bits=bits,
        group=group_of(_TILE * tiles.rows, grouped.rows if grouped else None),
        shape=(*tiles.lead, out.cols, _TILE * tiles.rows),
        numel=numel_of((*tiles.lead, out.cols, _TILE * tiles.rows)),
        weight=bundle.own["B"],
        formula=f"in = {_TILE} x {tiles.rows:,} tiles; "
        f"bits = 32 x {tiles.cols:,} / ({_TILE} x {out.cols:,}) = {bits}",
    )


def _words(bundle: Bundle) -> _Words | None:
    packed = bundle.matrix("qweight")
    word = bundle.kinds["qweight"].dtype.bits
    if packed is None or word is None or bundle.kinds["qweight"].dtype.kind not in ("int", "uint"):
        return None
    scales, zeros = bundle.matrix("scales"), bundle.matrix("qzeros")
    if scales is not None and scales.lead != packed.lead:
        scales = None
    return _Words(
        *packed,
        word=word,
        groups=scales.rows if scales else None,
        wide=scales.cols if scales else None,
        zeros=zeros.cols if zeros else None,
    )


def _packing(
    bundle: Bundle,
    scheme: str,
    bits: int | None,
    group: int | None,
    shape: Shape | None,
    formula: str,
    label: str = EXACT,
    problems: tuple[str, ...] = (),
) -> Packing:
    declared = bundle.hints.method
    if declared in ("gptq", "awq") and scheme in ("gptq", "awq") and declared != scheme:
        problems += (f"config says {declared}, {bundle.shown('qweight')} is laid out as {scheme}",)
    return Packing(
        scheme,
        bits,
        group,
        shape,
        numel_of(shape),
        bundle.own["qweight"],
        label=label,
        formula=formula,
        problems=problems,
    )


def _gptq_by_index(bundle: Bundle, words: _Words) -> Packing | None:
    """GPTQ, g_idx giving each input its group: in is its length."""
    index = bundle.shape("g_idx") or (0,)
    wide = index[-1]
    fitting = widths(words.rows, wide, words.word) if wide else []
    if not fitting:
        return None
    problems = _beside(bundle, words, words.cols)
    said = widths(words.zeros, words.cols, words.word) if words.zeros else fitting
    agreed = [bits for bits in fitting if bits in said]
    if not agreed:
        problems += (bundle.misfit("qzeros", "qweight"),)
        agreed = fitting
    if bundle.hints.bits in agreed:  # so few inputs that padding hides the width
        agreed = [bundle.hints.bits]
    return _packing(
        bundle,
        "gptq",
        agreed[0] if len(agreed) == 1 else None,
        group_of(wide, words.groups),
        (*words.lead, words.cols, wide),
        f"in = {wide:,} entries of g_idx; "
        f"bits = {words.word} x {words.rows:,} / {wide:,} = {words.word * words.rows // wide}",
        problems=problems,
    )


def _beside(bundle: Bundle, words: _Words, out: int) -> tuple[str, ...]:
    """What is wrong with the scales of a weight of so many outputs."""
    if "scales" not in bundle.kinds:
        return (f"{bundle.own['qweight']} without scales",)
    return () if words.wide == out else (bundle.misfit("scales", "qweight"),)


def _gptq(bundle: Bundle, words: _Words) -> Packing | None:
    """GPTQ without g_idx: qzeros, packed along out, give the width."""
    if words.wide != words.cols:
        return None
    fitting = widths(words.zeros, words.cols, words.word) if words.zeros else []
    problems: tuple[str, ...] = ()
    if words.zeros and not fitting:
        problems = (bundle.misfit("qzeros", "qweight"),)
    guesses = []
    for bits in fitting or (2, 3, 4, 8):
        wide, rest = divmod(words.rows * words.word, bits)
        group = group_of(wide, words.groups)
        if not rest and (group is not None or words.groups == 1):
            guesses.append(Guess(bits, wide, group))
    guess, label = settle(guesses, bundle.hints)
    if guess is None:
        return _packing(
            bundle, "gptq", None, None, None, "bits are open without qzeros", label, problems
        )
    shape = (*words.lead, words.cols, guess.wide)
    source = f"{words.zeros:,} columns of qzeros" if fitting else label
    return _packing(
        bundle,
        "gptq",
        guess.bits,
        guess.group,
        shape,
        f"{guess.bits} bits by {source}; "
        f"in = {words.rows:,} x {words.word} / {guess.bits} = {guess.wide:,}",
        label,
        problems,
    )


def _awq(bundle: Bundle, words: _Words) -> Packing | None:
    """AWQ, GEMM layout: packed along out, so in is the number of rows."""
    if words.wide is None or words.wide <= words.cols:
        return None
    bits, rest = divmod(words.cols * words.word, words.wide)
    if rest or not 1 <= bits <= 8:
        return None
    agree = words.zeros in (None, words.cols)
    return _packing(
        bundle,
        "awq",
        bits,
        group_of(words.rows, words.groups),
        (*words.lead, words.wide, words.rows),
        f"out = {words.wide:,} columns of scales; "
        f"bits = {words.word} x {words.cols:,} / {words.wide:,} = {bits}",
        problems=() if agree else (bundle.misfit("qzeros", "qweight"),),
    )


def _awq_gemv(bundle: Bundle, words: _Words) -> Packing | None:
    """AWQ, GEMV layout: a row an output, 4 bits; scales padded to whole words of zeros."""
    zeros = bundle.matrix("qzeros")
    if zeros is None or words.word != 32 or words.wide is None:
        return None
    if not words.groups == zeros.rows == words.rows or words.wide != 8 * zeros.cols:
        return None
    wide = 8 * words.cols
    fitting = [size for size in (128, 64, 32) if _padded_zeros(wide, size) == zeros.cols]
    if not fitting:
        return None
    group = bundle.hints.group if bundle.hints.group in fitting else fitting[0]
    return _packing(
        bundle,
        "awq-gemv",
        4,
        group,
        (*words.lead, words.rows, wide),
        f"rows of scales = rows of qweight; in = 8 x {words.cols:,} = {wide:,}",
    )


def _padded_zeros(wide: int, group: int) -> int:
    """Words of zeros in a row: AutoAWQ gemv.py, calculate_zeros_width."""
    multiple = 128 // group
    return ceil_div(ceil_div(wide // group, 8), multiple) * multiple


def _gemv_fast(bundle: Bundle, words: _Words) -> Packing | None:
    """AWQ, fast GEMV layout: 16-bit words, four outputs interleaved in a row, float zeros."""
    if words.word != 16 or bundle.dtype("qzeros") not in _FLOATS:
        return None
    if words.wide is None or words.wide != 4 * words.rows:
        return None
    padded = words.groups or 0
    fitting = [size for size in (128, 64, 32) if 8 * _padded_zeros(words.cols, size) == padded]
    return _packing(
        bundle,
        "awq-gemv-fast",
        4,
        fitting[0] if fitting else None,
        (*words.lead, words.wide, words.cols),
        f"out = {words.wide:,} columns of scales = 4 x {words.rows:,} rows",
    )


def _marlin(bundle: Bundle, words: _Words) -> Packing | None:
    """Marlin under GPTQ's or AWQ's names: in / 16 rows, out x 16 x bits / 32 columns."""
    if words.word != 32 or words.wide is None:
        return None
    factor, rest = divmod(words.cols, words.wide)
    if rest or factor not in (2, 4):
        return None
    wide = _TILE * words.rows
    return _packing(
        bundle,
        "marlin",
        2 * factor,
        group_of(wide, words.groups),
        (*words.lead, words.wide, wide),
        f"{factor} words an output in a tile of {_TILE}; in = {_TILE} x {words.rows:,}",
    )


def _fp_quant(bundle: Bundle, words: _Words) -> Packing | None:
    """FP-Quant: two FP4 values a byte along in, a scale for 16 or 32 of them."""
    if words.word != 8 or words.groups != words.rows or words.wide is None:
        return None
    group, rest = divmod(2 * words.cols, words.wide)
    if rest or group not in (16, 32):
        return None
    return _packing(
        bundle,
        "fp-quant",
        4,
        group,
        (*words.lead, words.rows, 2 * words.cols),
        f"in = 2 x {words.cols:,} bytes = {words.wide:,} scales x {group}",
    )


# in the order in which their conditions exclude one another
_LAYOUTS = (_gemv_fast, _fp_quant, _gptq_by_index, _awq_gemv, _marlin, _gptq, _awq)
