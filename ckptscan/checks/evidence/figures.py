"""The figures of a model's layers beside those of its config: widths by role."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.structure import Node
from ckptscan.structure.expected.stacks import CAUSAL, Stack, is_causal, main_stacks

__all__ = ["CAUSAL", "Shape", "Stack", "is_causal", "main_stacks", "role_shapes"]

Shape = tuple[int, ...]


def role_shapes(node: Node) -> Mapping[str, Shape]:
    """The logical shapes of one layer's weights by role, (out, in), where headers tell them."""
    found: dict[str, Shape] = {}
    waiting = [(node, False)]
    while waiting:
        above, is_turned = waiting.pop()
        for end in above.ends:
            shape = end.shape
            if shape is not None and len(shape) >= 2 and above.label != "bias":
                found.setdefault(end.role.name, shape[::-1] if is_turned else shape)
        for child in above.children:
            turned = child.kind is not None and child.kind.name == "Conv1D"
            waiting.append((child, is_turned if child.ends else turned))
    return found
