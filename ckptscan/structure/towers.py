"""The parts that a model is made of: vision, text, decoder, head; with what each counts."""

from __future__ import annotations

from ckptscan.late import Late
from ckptscan.structure.flow import in_order
from ckptscan.structure.tree import Node

# children that make their parent a mere bracket: model.visual beside model.language_model
_TOWER = Late(
    r"(?i)(visual|vision|audio|speech|image|video|language_model|text_model|llm|^encoder$|^decoder$)"
)
_MAX_DEPTH = 4


def towers(root: Node) -> list[Node]:
    """The parts of a tree, in the order of the data: its children, or theirs where they bracket."""
    found = []
    waiting = [(child, 1) for child in reversed(in_order(root.children))]
    while waiting:
        node, depth = waiting.pop()
        if depth < _MAX_DEPTH and _is_bracket(node):
            inner = (_named_below(node, child) for child in reversed(in_order(node.children)))
            waiting += [(child, depth + 1) for child in inner]
        elif node.parameters or node.unknown:
            found.append(node)
    return found


def _is_bracket(node: Node) -> bool:
    inside = [child for child in node.children if _TOWER.search(child.label) and not child.ends]
    return len(inside) > 1 and node.repeat is None and not node.ends


def _named_below(parent: Node, child: Node) -> Node:
    """The child under its longer name."""
    label = f"{parent.label}.{child.label}"
    return Node.of(label, child.children, child.ends, child.path, child.repeat, child.kind)
