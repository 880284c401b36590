"""The tensors of one module -> how its weight is packed, and its logical shape.

Shapes come first and config is a witness: what they leave open is decided by hints and labelled
so, or stays unknown. Contradictions are named, never raised. Here is the list of the schemes; each
reader knows its layouts, and the leaves that belong to them. Bytes and sizes are counted elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ckptscan.header import Kind
from ckptscan.structure.packing.bundles import split_bundles
from ckptscan.structure.packing.codebooks import (
    AQLM_LEAVES,
    HIGGS_LEAVES,
    SPQR_LEAVES,
    VPTQ_LEAVES,
    read_aqlm,
    read_higgs,
    read_spqr,
    read_vptq,
)
from ckptscan.structure.packing.flat import (
    BNB_LEAVES,
    HQQ_LEAVES,
    QUANTO_LEAVES,
    read_bnb,
    read_hqq,
    read_quanto,
)
from ckptscan.structure.packing.fp4 import BLOCK_LEAVES, read_blocks
from ckptscan.structure.packing.qweight import (
    MARLIN_LEAVES,
    QWEIGHT_LEAVES,
    read_marlin,
    read_qweight,
)
from ckptscan.structure.packing.rows import MLX_LEAVES, PACKED_LEAVES, read_mlx, read_packed
from ckptscan.structure.packing.scaled import SCALED_LEAVES, read_scaled
from ckptscan.structure.packing.torchao import TORCHAO_LEAVES, read_torchao
from ckptscan.structure.packing.values import (
    CACHE_SCALES,
    COMMON,
    Bundle,
    Hints,
    Packing,
    Shape,
)

__all__ = [
    "CACHE_SCALES",
    "Bundle",
    "Hints",
    "Packing",
    "Shape",
    "bundle_of",
    "unpack",
]


class Scheme(NamedTuple):
    """A reader of bundles, and the names of the leaves that it knows."""

    read: Callable[[Bundle], Packing | None]
    leaves: frozenset[str]


# the first that recognises a bundle has it; the plain ones come last
SCHEMES = (
    Scheme(read_bnb, BNB_LEAVES),
    Scheme(read_qweight, QWEIGHT_LEAVES),
    Scheme(read_packed, PACKED_LEAVES),
    Scheme(read_blocks, BLOCK_LEAVES),
    Scheme(read_mlx, MLX_LEAVES),
    Scheme(read_torchao, TORCHAO_LEAVES),
    Scheme(read_hqq, HQQ_LEAVES),
    Scheme(read_quanto, QUANTO_LEAVES),
    Scheme(read_aqlm, AQLM_LEAVES),
    Scheme(read_vptq, VPTQ_LEAVES),
    Scheme(read_spqr, SPQR_LEAVES),
    Scheme(read_higgs, HIGGS_LEAVES),
    Scheme(read_marlin, MARLIN_LEAVES),
    Scheme(read_scaled, SCALED_LEAVES),
)
_PLAIN = frozenset({"weight", "bias"}).union(COMMON, *(scheme.leaves for scheme in SCHEMES))
_NO_HINTS = Hints()


def unpack(leaves: Mapping[str, Kind], hints: Hints = _NO_HINTS) -> tuple[Packing, ...]:
    """The packed weights among a module's tensors, named relative to it; empty if none is."""
    found = []
    for bundle in split_bundles(leaves, _PLAIN, hints):
        for scheme in SCHEMES:
            packing = scheme.read(bundle)
            if packing is not None:
                found.append(_complete(packing, bundle, scheme))
                break
    return tuple(found)


def bundle_of(leaves: Mapping[str, Kind], weight: str) -> Bundle:
    """The tensors of the weight that one of the leaves is, under their usual names."""
    bundles = split_bundles(leaves, _PLAIN, _NO_HINTS)
    return next(one for one in bundles if weight in one.own.values())


def _complete(packing: Packing, bundle: Bundle, scheme: Scheme) -> Packing:
    """With the leaves that keep its books, and with the config's word against the shapes'."""
    books = {own for name, own in bundle.own.items() if name in scheme.leaves or name in COMMON} - {
        packing.weight
    }
    said, bits = bundle.hints.bits, packing.bits
    problems = packing.problems
    if said is not None and bits is not None and said != bits:
        problems += (f"config says {said} bits, the tensors have {bits}",)
    sure = packing.numel_label or packing.label
    return packing._replace(auxiliary=frozenset(books), problems=problems, numel_label=sure)
