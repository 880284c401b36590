"""A module's leaves -> bundles: the tensors of one weight each, under their usual names.

A Linear has one weight and names its book-keeping plainly: `weight`, `scales`, `input_scale`. A
node of stacked experts holds several weights, and says of which by a prefix: `gate_up_proj_blocks`,
`down_proj_scale_inv`, `w13_weight_scale`. Both come out alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from ckptscan.header import Kind
from ckptscan.structure.packing.values import Bundle, Hints

# what may follow the name of a stacked weight -> what it is beside a `weight`
_TAILS = {
    name: name
    for name in (
        "weight bias weight_scale weight_scale_inv weight_scale_2 weight_packed weight_shape "
        "weight_global_scale weight_zero_point weight_g_idx input_scale input_global_scale "
        "activation_scale qweight qzeros scales g_idx biases blocks"
    ).split()
} | {
    "scale": "weight_scale",
    "scale_inv": "weight_scale_inv",
    "scale_2": "weight_scale_2",
    "packed": "weight_packed",
    "global_scale": "weight_global_scale",
    "zero_point": "weight_zero_point",
    "qdata": "weight_qdata",
    "absmax": "weight.absmax",
    "quant_map": "weight.quant_map",
    "nested_absmax": "weight.nested_absmax",
    "nested_quant_map": "weight.nested_quant_map",
    "quant_state.bitsandbytes__nf4": "weight.quant_state.bitsandbytes__nf4",
    "quant_state.bitsandbytes__fp4": "weight.quant_state.bitsandbytes__fp4",
}
_LONGEST = max(map(len, _TAILS))


def split_bundles(
    leaves: Mapping[str, Kind], plain: Collection[str], hints: Hints
) -> Iterator[Bundle]:
    """The bundles of a module, in the order of their first leaf; `plain` names stay together."""
    kinds: dict[str, dict[str, Kind]] = {}
    names: dict[str, dict[str, str]] = {}
    for leaf, kind in leaves.items():
        stem, name = _place(leaf, plain)
        if name in kinds.get(stem, {}):  # `x` and `x_weight`: the second stands alone
            stem, name = f"{leaf}\n", "weight"
        kinds.setdefault(stem, {})[name] = kind
        names.setdefault(stem, {})[name] = leaf
    for stem, held in kinds.items():
        yield Bundle(held, names[stem], hints)


def _place(leaf: str, plain: Collection[str]) -> tuple[str, str]:
    """The stem of a leaf's bundle, empty for the module's own weight, and its usual name."""
    usual = leaf[1:] if leaf.startswith("_weight_") else leaf  # torchao: _weight_qdata
    if usual in plain:
        return "", usual
    # no tail is longer, and a name of a hostile file may have a megabyte
    for start in range(max(1, len(leaf) - _LONGEST - 1), len(leaf) - 1):
        tail = _TAILS.get(leaf[start + 1 :]) if leaf[start] in "._" else None
        if tail is not None:
            return leaf[:start].removesuffix("_weight"), tail
    return leaf, "weight"
