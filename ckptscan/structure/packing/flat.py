"""Weights that are stored flattened: bitsandbytes' 4 bits, HQQ, Quanto.

The number of weights follows from stored bytes and scales; the shape does not, it is in a tensor
that has to be peeked at, or follows from the width of the bias or of the model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ckptscan.structure.packing.guesses import Guess, settle
from ckptscan.structure.packing.values import (
    EXACT,
    INFERRED,
    PEEKED,
    Bundle,
    Matrix,
    Packing,
    Shape,
    ceil_div,
    numel_of,
    stated_shape,
)

_STATE = "weight.quant_state.bitsandbytes__"
BNB_LEAVES = frozenset(
    f"SCB weight_format weight.SCB weight.absmax weight.quant_map weight.nested_absmax "
    f"weight.nested_quant_map {_STATE}nf4 {_STATE}fp4".split()
)
HQQ_LEAVES = frozenset(
    # hqq core/quantize.py, HQQLinear.state_dict_keys
    "W_q scale zero meta nbits group_size shape axis packing unpack_view_dtype view_as_float "
    "quant_scale quant_zero compute_dtype offload_meta encoded_state_dict stores_quant_config "
    "channel_wise optimize round_zero zero_scale scale_q zero_q".split()
)
QUANTO_LEAVES = frozenset(
    "weight._data weight._data._data weight._scale weight._shift weight._zeropoint".split()
)

# bitsandbytes functional.py, quantize_4bit: the block sizes it takes, the default first
_BLOCKS = (64, 128, 256, 512, 1024, 2048, 4096, 32)
# values a byte -> bits; HQQ and Quanto pack whole values into U8
_PER_BYTE = {1: 8, 2: 4, 4: 2, 8: 1}
_GROUPS = (64, 128, 32, 256, 16, 512, 1024, 8)


def read_bnb(bundle: Bundle) -> Packing | None:
    """bitsandbytes: 8 bits with SCB, or bytes of two values with absmax."""
    if "weight" not in bundle.kinds:
        return None
    if "weight.absmax" in bundle.kinds:
        return _bnb_blocks(bundle)
    scales = bundle.first("SCB", "weight.SCB")
    if scales is None or bundle.dtype("weight") != "I8":
        return None
    stored = bundle.shape("weight") or ()
    fits = len(stored) < 2 or math.prod(bundle.shape(scales) or ()) == stored[-2]
    return Packing(
        "bnb-int8",
        8,
        None,
        stored,
        numel_of(stored),
        bundle.own["weight"],
        formula="the shape as stored",
        problems=() if fits else (bundle.misfit(scales, "weight"),),
    )


def _bnb_blocks(bundle: Bundle) -> Packing:
    """NF4, FP4 or blockwise 8 bits; the quant_state is JSON with the true shape."""
    state = bundle.first(f"{_STATE}nf4", f"{_STATE}fp4")
    scheme = f"bnb-{state.rpartition('__')[2]}" if state else "bnb-4bit"
    table = bundle.shape("weight.quant_map")
    bits = 8 if state is None and table == (256,) else 4
    # bnb_4bit_quant_storage may be any dtype, so bytes count and not elements
    nbytes = bundle.kinds["weight"].nbytes
    numel = nbytes * 8 // bits
    problems: tuple[str, ...] = ()
    stated = None if state is None else stated_shape(bundle.peeked(state))
    if state is not None and stated is not None and ceil_div(math.prod(stated) * bits, 8) != nbytes:
        problems = (
            f"{bundle.own[state]} says {stated}, {bundle.shown('weight')} holds {numel:,} values",
        )
        stated = None
    shape, label = (stated, PEEKED) if stated else fold(numel, bundle)
    numel = numel_of(stated) or numel
    blocks = math.prod(bundle.shape("weight.absmax") or ())
    return Packing(
        scheme if bits == 4 else "bnb-8bit",
        bits,
        next((size for size in _BLOCKS if ceil_div(numel, size) == blocks), None),
        shape,
        numel,
        bundle.own["weight"],
        label=label,
        formula=f"{8 // bits} x {nbytes:,} bytes",
        problems=problems,
        numel_label=EXACT,
    )


def fold(numel: int, bundle: Bundle) -> tuple[Shape | None, str]:
    """(out, in) of so many weights, where the bias or the model's width gives one side.

    The label is exact where the shape stays unknown: it then speaks of the number of weights.
    """
    if bundle.own.get("weight", "weight") != "weight":
        return None, EXACT  # a stack of matrices
    bias = bundle.shape("bias")
    if bias is not None and len(bias) == 1 and bias[0] > 0 and numel and numel % bias[0] == 0:
        return (bias[0], numel // bias[0]), INFERRED
    hidden, faces_out = bundle.hints.hidden, bundle.hints.faces_out
    if not hidden or hidden < 0 or not numel or numel % hidden:
        return None, EXACT
    other = numel // hidden
    if faces_out is None:
        return ((hidden, hidden), INFERRED) if other == hidden else (None, EXACT)
    return ((hidden, other) if faces_out else (other, hidden)), INFERRED


def read_hqq(bundle: Bundle) -> Packing | None:
    """HQQ: W_q with scale and zero, grouped before it is packed."""
    if "W_q" not in bundle.kinds:
        return None
    found = _grouped(bundle, "W_q", "scale", "hqq")
    stated = stated_shape(bundle.peeked("shape"))
    if stated is None:
        return found
    if found.numel is None:
        guesses = [
            guess for guess in _guesses(bundle, "W_q", "scale") if guess.wide == math.prod(stated)
        ]
        if len({guess.bits for guess in guesses}) == 1:
            guess = guesses[0]
            return found._replace(
                bits=guess.bits,
                group=guess.group,
                shape=stated,
                numel=guess.wide,
                label=PEEKED,
                numel_label=PEEKED,
            )
    elif found.numel == math.prod(stated):
        return found._replace(shape=stated, label=PEEKED)
    problem = f"shape says {stated}, {bundle.shown('W_q')} holds other"
    return found._replace(problems=(*found.problems, problem))


def read_quanto(bundle: Bundle) -> Packing | None:
    """Quanto: `weight._data` is the weight in 8 bits, `weight._data._data` is packed."""
    if "weight._data._data" in bundle.kinds:
        return _grouped(bundle, "weight._data._data", "weight._scale", "quanto")
    stored = bundle.shape("weight._data")
    if stored is None:
        return None
    if bundle.dtype("weight._data") == "U8":
        return _grouped(bundle, "weight._data", "weight._scale", "quanto")
    return Packing(
        "quanto",
        8,
        None,
        stored,
        numel_of(stored),
        bundle.own["weight._data"],
        formula="the shape as stored",
    )


def _grouped(bundle: Bundle, packed: str, scale: str, scheme: str) -> Packing:
    """A weight that was reshaped to groups, then packed along the first axis.

    Rows are groups where one scale stands for a row, (weights / group, 1); the number of scales
    over the number of rows is then the values in a byte. Where columns are groups (HQQ axis=0,
    (1, weights / group)), the width stays open: hqq core/quantize.py and bitpack.py.
    """
    own = bundle.own[packed]
    stored, scales = bundle.matrix(packed), bundle.matrix(scale)
    if stored is not None and scales is not None and _keeps_rows(stored, scales):
        return _in_rows(bundle, stored, scales, Packing(scheme, None, None, None, None, own))
    guess, label = settle(_guesses(bundle, packed, scale), bundle.hints)
    if guess is None:
        problems = () if scale in bundle.kinds else (f"{own} without {scale}",)
        formula = "bits are open: bytes a scale fit several"
        return Packing(scheme, None, None, None, None, own, frozenset(), label, formula, problems)
    numel = guess.wide
    shape, folded = fold(numel, bundle)
    if shape is None and guess.group is None and stored is not None:
        shape, folded = (numel // stored.cols, stored.cols), INFERRED
    bits = guess.bits
    if scheme == "hqq" and bits == 8 and bundle.hints.bits in (5, 6):
        bits = bundle.hints.bits  # hqq stores 5 and 6 bits in whole bytes
    return Packing(
        scheme,
        bits,
        guess.group,
        shape,
        numel,
        own,
        label=folded if label == EXACT else label,
        formula=f"{math.prod(bundle.shape(scale) or ()):,} scales; "
        f"{bundle.kinds[packed].nbytes:,} bytes x 8 / {guess.bits} bits",
        numel_label=label,
    )


def _keeps_rows(stored: Matrix, scales: Matrix) -> bool:
    """Whether a row of bytes is a row of the weight, cut into several groups."""
    return stored.rows == scales.rows > 1 < scales.cols and stored.lead == scales.lead


def _in_rows(bundle: Bundle, stored: Matrix, scales: Matrix, bare: Packing) -> Packing:
    """A weight that kept its rows: bytes and scales along in leave the width to the hints."""
    guesses = [
        Guess(bits, stored.cols * values, group)
        for values, bits in _PER_BYTE.items()
        for group in _GROUPS
        if group * scales.cols == stored.cols * values
    ]
    guess, label = settle(guesses, bundle.hints)
    if guess is None:
        return bare._replace(label=label, formula="bits are open: bytes a scale fit several")
    shape = (*stored.lead, stored.rows, guess.wide)
    return bare._replace(
        bits=guess.bits,
        group=guess.group,
        shape=shape,
        numel=numel_of(shape),
        label=label,
        formula=f"in = {stored.cols:,} bytes x 8 / {guess.bits} bits",
    )


def _guesses(bundle: Bundle, packed: str, scale: str) -> Iterator[Guess]:
    """Each width that bytes and scales allow; `wide` is the number of weights."""
    stored, scales = bundle.matrix(packed), bundle.shape(scale)
    if stored is None or stored.lead or scales is None or not all(scales):
        return
    kind = bundle.kinds[packed]
    is_words = kind.dtype.name in ("I32", "U32")  # ten values of 3 bits each
    # HQQ's view_as_float: bytes seen as the compute dtype
    cols = stored.cols if is_words else stored.cols * (kind.dtype.bits or 8) // 8
    count = math.prod(scales)
    packs = {10: 3} if is_words else _PER_BYTE
    if len(scales) in (1, 2) and scales[0] == count:
        group = cols if cols <= max(_GROUPS) else None
        for values, bits in packs.items():
            if ceil_div(count, values) == stored.rows:
                yield Guess(bits, count * cols, group)
        return
    for values, bits in packs.items():
        for group in _GROUPS:
            if is_words:
                fits = cols == count and ceil_div(group, values) == stored.rows
            else:
                fits = group * count == stored.rows * cols * values
            if fits:
                yield Guess(bits, group * count, group)
