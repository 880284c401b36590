"""The PyTorch class of a module, from its name and the shapes of its tensors; no list of models.

What tensors can't tell is left out (eps, stride, the dimensions of a BatchNorm) or has a neutral
name: Norm, BatchNorm, Experts, Router. The rules for matrices, norms, convolutions and stacked
experts live beside.
"""

from __future__ import annotations

from collections.abc import Sequence

from ckptscan.late import Late
from ckptscan.structure.convolutions import classify_convolution
from ckptscan.structure.matrices import classify_matrix
from ckptscan.structure.module_class import Around, Leaves, ModuleClass, Name, Shape, weight_of
from ckptscan.structure.norms import classify_norm
from ckptscan.structure.stacks import classify_stack

__all__ = ["Around", "ModuleClass", "Shape", "classify"]

LAYER = Late(r"weight_ih_l\d+$")  # weight_ih_l1, not weight_ih_l1_reverse
GATES = {4: "LSTM", 3: "GRU", 1: "RNN"}


def classify(path: Sequence[str], leaves: Leaves, around: Around) -> ModuleClass | None:
    """The class of the module at this path, None where it is none of torch's own.

    `path` holds the segments from the root, indices as `*`; `leaves` the module's own tensors with
    their logical shapes.
    """
    name = Name.of(path)
    return (
        _batch_norm(leaves)
        or _recurrent(leaves)
        or _attention(leaves)
        or classify_stack(name, leaves, around)
        or _weighted(name, leaves, around)
    )


def _weighted(name: Name, leaves: Leaves, around: Around) -> ModuleClass | None:
    weight, bias = weight_of(leaves), leaves.get("bias")
    if weight is None or len(weight) == 1 or weight == bias:
        return classify_norm(name, leaves, around)
    if len(weight) == 2:
        return classify_matrix(name, weight, bias, leaves, around)
    return classify_convolution(name, weight, bias)


def _batch_norm(leaves: Leaves) -> ModuleClass | None:
    mean = leaves.get("running_mean")
    if mean is None or len(mean) != 1 or leaves.get("running_var") != mean:
        return None
    plain = "" if "weight" in leaves else ", affine=False"
    return ModuleClass("BatchNorm", f"{mean[0]}{plain}", "exact")


def _recurrent(leaves: Leaves) -> ModuleClass | None:
    """LSTM, GRU or RNN by the gates that lie in one weight: four, three, one."""
    for ending, kind in (("_l0", ""), ("", "Cell")):
        inward, hidden = leaves.get(f"weight_ih{ending}", ()), leaves.get(f"weight_hh{ending}", ())
        projected = leaves.get(f"weight_hr{ending}", ())
        if len(inward) == len(hidden) == 2 and inward[0] == hidden[0]:
            size = projected[1] if len(projected) == 2 else hidden[1]
            gates = GATES.get(inward[0] // size) if size and inward[0] % size == 0 else None
            if gates:
                options = "" if kind else _recurrent_options(leaves)
                return ModuleClass(f"{gates}{kind}", f"{inward[1]}, {size}{options}", "exact")
    return None


def _recurrent_options(leaves: Leaves) -> str:
    layers = sum(1 for leaf in leaves if LAYER.match(leaf))
    projected = leaves.get("weight_hr_l0")
    options = (
        f"num_layers={layers}" if layers > 1 else "",
        "" if "bias_ih_l0" in leaves else "bias=False",
        f"proj_size={projected[0]}" if projected else "",
        "bidirectional=True" if "weight_ih_l0_reverse" in leaves else "",
    )
    return "".join(f", {option}" for option in options if option)


def _attention(leaves: Leaves) -> ModuleClass | None:
    weight = leaves.get("in_proj_weight", ())
    if len(weight) == 2 and weight[0] == 3 * weight[1]:
        return ModuleClass("MultiheadAttention", f"embed_dim={weight[1]}", "exact")
    query, key, value = (leaves.get(f"{part}_proj_weight", ()) for part in "qkv")
    if len(query) == len(key) == len(value) == 2 and query[0] == query[1] == key[0] == value[0]:
        sizes = f"embed_dim={query[0]}, kdim={key[1]}, vdim={value[1]}"
        return ModuleClass("MultiheadAttention", sizes, "exact")
    return None
