"""How one kind of layer differs from another, tensor by tensor."""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.structure.layers import LayerKind
from ckptscan.structure.tree import Node

Form = tuple[str, tuple[int, ...]]  # dtype and shape


class Otherwise(NamedTuple):
    """What both kinds have in other forms; those that are the same in both are left out."""

    path: str
    here: tuple[Form, ...]
    usually: tuple[Form, ...]


class Unlike(NamedTuple):
    """How a kind differs from the usual one: paths below a layer, in the order of the tree."""

    lacks: tuple[str, ...]
    has: tuple[str, ...]
    otherwise: tuple[Otherwise, ...]


def unlike(kind: LayerKind, usual: LayerKind) -> Unlike:
    """What a kind lacks, what it has besides, and what is of another dtype or shape."""
    here, usually = _tensors_below(kind.node), _tensors_below(usual.node)
    otherwise = (
        Otherwise(path, tuple(sorted(forms - usually[path])), tuple(sorted(usually[path] - forms)))
        for path, forms in here.items()
        if path in usually and forms != usually[path]
    )
    return Unlike(
        tuple(path for path in usually if path not in here),
        tuple(path for path in here if path not in usually),
        tuple(otherwise),
    )


def _tensors_below(node: Node) -> dict[str, set[Form]]:
    """The forms of what ends below a node, by its path from there."""
    found: dict[str, set[Form]] = {}
    waiting = [(child, child.label) for child in reversed(node.children)]
    while waiting:
        at, path = waiting.pop()
        if at.ends:
            found[path] = {(end.family.dtype.name, end.family.shape) for end in at.ends}
        waiting += [(child, f"{path}.{child.label}") for child in reversed(at.children)]
    return found
