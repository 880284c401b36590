"""Multi-token prediction: extra layers that draft tokens, told apart from the model itself.

They stand as further layers of the main container (DeepSeek-V3, GLM, Kimi, Step), or under
`mtp.*`, `mtp_layers.*`, `model.mtp.*`. What gives them away is the projection of a hidden state
and an embedding joined together (DeepSeek-V3, arXiv 2412.19437, section 2.2), and its two norms.
"""

from __future__ import annotations

from dataclasses import replace

from ckptscan.late import Late
from ckptscan.structure.tree import MTP, Node

# mtp, mtp_layers, mtp_block, nextn_predict_layers
_NAMED = Late(r"(?i)^(mtp|nextn)(_|$)")
_TELLTALE = frozenset({"eh_proj", "enorm", "hnorm", "shared_head"})
_MIN_TELLTALES = 2
_MAX_DEPTH = 6


def move_mtp(root: Node) -> tuple[Node, Node | None]:
    """The tree with multi-token prediction as a subtree of its own, and that subtree."""
    taken: list[Node] = []
    main = _without(root, "", 0, taken)
    if not taken:
        return root, None
    subtree = taken[0] if taken[0] in root.children else Node.of(MTP, taken, path=MTP)
    if len(taken) > 1:
        subtree = Node.of(MTP, taken, path=MTP)
    return root.holding([*(main.children if main else ()), subtree]), subtree


def _without(node: Node, name: str, depth: int, taken: list[Node]) -> Node | None:
    """The node without what was taken from it; None where nothing is left."""
    if depth and _is_mtp(node):
        taken.append(replace(node, label=name))
        return None
    if depth == _MAX_DEPTH or not node.children or node.repeat is not None:
        return node  # what stands in every layer is part of it
    before = len(taken)
    kept = []
    for child in node.children:
        below = f"{name}.{child.label}" if name else child.label
        left = _without(child, below, depth + 1, taken)
        kept += [left] if left is not None else []
    if len(taken) == before:
        return node
    return node.holding(kept) if kept or node.ends else None


def _is_mtp(node: Node) -> bool:
    if node.ends:
        return False
    labels = {child.label for child in node.children}
    return bool(_NAMED.match(node.label)) or len(labels & _TELLTALE) >= _MIN_TELLTALES
