"""Packed weights among a module's tensors: what they are called unpacked, the class they make."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from ckptscan.late import Late
from ckptscan.structure.classes import ModuleClass

if TYPE_CHECKING:
    from ckptscan.structure.packing import Packing

# the leaf that holds a packed weight -> the name of the weight that it stands for
_UNPACKED = dict.fromkeys(
    "qweight weight_packed W_q codes weight_qdata _weight_qdata weight._data".split(), "weight"
)
# weight_scale_inv, scales, absmax, SCB, input_scale; not scale_shift_table
_SCALE = Late(r"(?i)(?:^|[._])(?:\w+_)?(?:scales?|absmax|scb)(?:_inv|_\d)?$")
_TAIL = 128  # characters of a name that say what it is
_STACK_ENDINGS = ("_blocks", "_packed", "_qdata", "_qweight")


def is_scale(name: str) -> bool:
    """Whether a name is that of the scales of a quantized weight."""
    return _SCALE.search(name[-_TAIL:]) is not None


def quantized_class(packing: Packing, plain: ModuleClass | None) -> ModuleClass:
    """The class of a module with a packed weight; `plain` is what it is unpacked."""
    how = [f"bits={packing.bits}" if packing.bits else "", _group(packing), packing.scheme]
    if unpacked_name(packing.weight, packing) != "weight":  # a stack among other parameters
        stack = [str(size) for size in packing.shape or ()] or ["?"]
        return ModuleClass("QuantExperts", ", ".join(filter(None, [*stack, *how])), packing.label)
    sizes = ["?", "?"]
    if packing.shape is not None and len(packing.shape) == 2:
        rows, columns = packing.shape
        sizes = [str(columns), str(rows)]
        if plain is not None and plain.name == "Embedding":
            sizes.reverse()
            return ModuleClass("QuantEmbedding", _listed(sizes, how), packing.label)
    elif packing.shape is not None:
        sizes = [str(size) for size in packing.shape]
        return ModuleClass("QuantExperts", _listed(sizes, how), packing.label)
    return ModuleClass("QuantLinear", _listed(sizes, how), packing.label)


def _listed(sizes: Sequence[str], how: Sequence[str]) -> str:
    return ", ".join(filter(None, [*sizes, *how]))


def _group(packing: Packing) -> str:
    if packing.group is None:
        return ""
    if isinstance(packing.group, int):
        return f"group={packing.group}"
    return f"block={'x'.join(map(str, packing.group))}"


def unpacked_name(name: str, packing: Packing | None) -> str:
    """The name of the weight that a packed tensor stands for."""
    if packing is None:
        return name
    if name in _UNPACKED:
        return _UNPACKED[name]
    for ending in _STACK_ENDINGS:
        if name.endswith(ending) and len(name) > len(ending):
            return name.removesuffix(ending)
    return name


def elements(packing: Packing) -> int | None:
    """The logical elements of a packed weight, None where they are not known."""
    return prod(packing.shape) if packing.shape is not None else packing.numel
