"""GGML's types and the mixes that llama-quantize makes of them: which tensor gets which type.

Sources: ggml-common.h (blocks of each type), llama-quant.cpp (tensor_allows_quantization,
llama_tensor_get_type_impl, tensor_type_fallback). Mixes that need an importance matrix are left
out: theirs are the ones that nobody makes without data.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ckptscan.errors import UsageError


class Packing(NamedTuple):
    """Values of a block, and bytes that they take with their scales."""

    values: int
    nbytes: int


TYPES = {
    "f32": Packing(1, 4),
    "f16": Packing(1, 2),
    "bf16": Packing(1, 2),
    "q8_0": Packing(32, 34),
    "q5_1": Packing(32, 24),
    "q5_0": Packing(32, 22),
    "q4_1": Packing(32, 20),
    "q4_0": Packing(32, 18),
    "iq4_nl": Packing(32, 18),
    "mxfp4": Packing(32, 17),
    "q6_k": Packing(256, 210),
    "q5_k": Packing(256, 176),
    "q4_k": Packing(256, 144),
    "iq4_xs": Packing(256, 136),
    "q3_k": Packing(256, 110),
    "iq3_s": Packing(256, 110),
    "q2_k": Packing(256, 84),
}
# what a file is called -> the type that most of its tensors have
MIXES = {
    **{name: name for name in ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")},
    "q6_k": "q6_k",
    "q5_k_m": "q5_k",
    "q5_k_s": "q5_k",
    "q4_k_m": "q4_k",
    "q4_k_s": "q4_k",
    "iq4_nl": "iq4_nl",
    "iq4_xs": "iq4_xs",
    "q3_k_l": "q3_k",
    "q3_k_m": "q3_k",
    "q3_k_s": "q3_k",
    "iq3_m": "iq3_s",
    "iq3_s": "iq3_s",
    "q2_k": "q2_k",
    "mxfp4_moe": "mxfp4",
}
# iq2_xxs, iq1_m, tq1_0: made with data, or ternary
_UNMODELLED = re.compile(r"(?:iq[123]_(?:xxs|xs|s|m)|q2_k_s|tq[12]_0)", re.ASCII)
_ALIASES = {"q4_k": "q4_k_m", "q5_k": "q5_k_m", "q3_k": "q3_k_m"}
# rows that no whole blocks fill -> the type that is taken instead
_FALLBACK = {
    "iq3_s": "iq4_nl",
    "iq4_xs": "iq4_nl",
    "q2_k": "q4_0",
    "q3_k": "q4_0",
    "q4_k": "q5_0",
    "q5_k": "q5_1",
    "q6_k": "q8_0",
}
_WHOLE = ("f32", "f16", "bf16")
FEW_EXPERTS = 8  # llama-quant.cpp spends more on attention where there are just so many
_SPARING = frozenset("q2_k q3_k_s q3_k_m iq4_nl q4_k_s q4_k_m iq3_s iq3_m iq4_xs".split())
_OUTPUT_OF_MIX = {"q2_k": "q3_k", "q3_k_m": "q4_k", "q3_k_l": "q5_k", "iq3_m": "q4_k"}


class Traits(NamedTuple):
    """What llama-quantize looks at of a whole model."""

    layers: int
    values: int
    experts: int = 0
    ratio: int = 1
    is_tied: bool = False
    is_falcon: bool = False
    is_70b: bool = False


class Place(NamedTuple):
    """A tensor as llama-quantize sees it: its category, its layer, which of the values it is."""

    category: str
    layer: int
    value: int
    is_stack: bool


def mix_named(name: str) -> str:
    """The mix of this name; raises UsageError with the nearest ones."""
    plain = name.strip().lower().replace("-", "_")[:40]
    plain = _ALIASES.get(plain, plain)
    if plain in MIXES:
        return plain
    import difflib

    near = difflib.get_close_matches(plain, MIXES, 4, 0.4) or [*MIXES]
    hint = f"nearest: {', '.join(near)}"
    if _UNMODELLED.fullmatch(plain):
        raise UsageError(f"{plain} is not modelled: such a mix follows an importance matrix", hint)
    raise UsageError(f"no GGUF type is called {name[:40]!r}", hint)


def row_bytes(kind: str, columns: int) -> int:
    """Bytes of a row of so many values."""
    packing = TYPES[kind]
    return -(-columns // packing.values) * packing.nbytes


def type_of(mix: str, place: Place, columns: int, traits: Traits) -> str:
    """The type that a tensor of this place and width gets in a mix."""
    plain = MIXES[mix]
    if plain in _WHOLE:
        return plain
    chosen = _chosen(mix, plain, place, columns, traits)
    if columns % TYPES[chosen].values:
        chosen = _FALLBACK.get(chosen, "f16")
    return "f16" if columns % TYPES[chosen].values else chosen


def _chosen(mix: str, plain: str, place: Place, columns: int, traits: Traits) -> str:
    """The type before it is asked whether the rows are whole blocks."""
    category = place.category
    if category == "output" or (category == "embedding" and traits.is_tied):
        if mix == "mxfp4_moe" or traits.is_falcon or columns % TYPES[plain].values:
            return "q8_0"
        return plain if plain == "q8_0" else "q6_k"
    if mix == "mxfp4_moe":
        return "mxfp4" if place.is_stack else "q8_0"
    if category in ("v", "qkv"):
        return _values(mix, plain, place, traits)
    if category == "k" and traits.experts == FEW_EXPERTS:
        return "q8_0"
    if category == "down":
        return _down(mix, plain, place.layer, traits)
    if category == "o" and traits.is_falcon:
        return "q4_k" if mix == "q3_k_l" else plain
    if category == "o" and traits.experts == FEW_EXPERTS:
        return "q5_k" if mix in _SPARING else plain
    return _OUTPUT_OF_MIX.get(mix, plain) if category == "o" else plain


def _values(mix: str, plain: str, place: Place, traits: Traits) -> str:
    """The projection of values, or the one that it is joined with."""
    if traits.experts == FEW_EXPERTS:
        return "q8_0"
    chosen, is_shared = plain, traits.ratio >= 4
    if mix == "q2_k":
        chosen = "q4_k" if is_shared else "q3_k"
    elif mix == "iq3_m" or (mix == "iq3_s" and is_shared):
        chosen = "q4_k"
    elif mix == "q3_k_m":
        chosen = "q5_k" if place.value < 2 else "q4_k"
    elif mix == "q3_k_l" or (mix in ("iq4_nl", "iq4_xs") and is_shared):
        chosen = "q5_k"
    elif mix in ("q4_k_m", "q5_k_m") and takes_more(place.value, traits.values):
        chosen = "q6_k"
    elif mix == "q4_k_s" and place.value < 4:
        chosen = "q5_k"
    return "q5_k" if traits.is_70b and chosen in ("q3_k", "q4_k") else chosen


def _down(mix: str, plain: str, layer: int, traits: Traits) -> str:
    """The projection of a feed-forward net back to the residual stream."""
    layers, is_early = traits.layers, layer < traits.layers // 8
    more = takes_more(layer, layers)
    if mix == "q2_k":
        return "q3_k"
    if mix == "q3_k_m":
        if layer < layers // 16:
            return "q5_k"
        return "q4_k" if not traits.is_falcon or more else plain
    if mix == "q3_k_l":
        return "q4_k" if traits.is_falcon else "q5_k"
    if mix == "iq3_m":
        return "q4_k" if is_early or (traits.experts == FEW_EXPERTS and more) else plain
    if mix == "q4_k_m" and traits.is_falcon:
        return "q6_k" if layer < layers // 16 else "q5_k" if more else plain
    if mix in ("q4_k_m", "q5_k_m"):
        return "q6_k" if more else plain
    if mix in ("iq4_nl", "iq4_xs") or (mix == "q4_k_s" and not traits.is_falcon):
        return "q5_k" if is_early else plain
    return plain


def takes_more(place: int, count: int) -> bool:
    """Whether a layer is one of those that get more bits: the first, the last, each third."""
    return place < count // 8 or place >= 7 * count // 8 or (place - count // 8) % 3 == 2
