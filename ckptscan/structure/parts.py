"""Tensor-parallel parts: shapes of one part -> shapes of the joined model.

Meta's `consolidated.00` to `.07` hold the same names with cut shapes. Which dimension is cut is
told by the width of the residual stream, which the norms have in full: the other one is cut.
"""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.structure.roles import Role

Shape = tuple[int, ...]

# every part holds these whole (Megatron-LM and DeepSeek's convert.py cut none of them)
_WHOLE = frozenset({"norm", "qk_norm", "router", "router_bias", "q_a", "kv_a", "rope", "buffer"})
# the input is cut, where the widths do not tell
_CUT_INPUT = frozenset({"o", "down", "expert.down", "shared_expert.down"})


def joined_shapes(
    shapes: Mapping[str, Shape], roles: Mapping[str, Role], copies: int, hidden: int | None
) -> dict[str, Shape]:
    """The shapes of one module's tensors in the joined model; as they are for a single copy."""
    if copies < 2:
        return dict(shapes)
    axes = {name: _cut(shape, roles[name].name, hidden) for name, shape in shapes.items()}
    weight = axes.get("weight")
    joined = {}
    for name, shape in shapes.items():
        axis = axes[name]
        if len(shape) == 1 and roles[name].name not in _WHOLE:
            axis = 0 if weight == 0 else None
        joined[name] = shape if axis is None else _times(shape, axis, copies)
    return joined


def _cut(shape: Shape, role: str, hidden: int | None) -> int | None:
    """The dimension that is cut, None where the tensor is whole."""
    if role in _WHOLE or len(shape) < 2:
        return None
    first, last = len(shape) - 2, len(shape) - 1
    is_first, is_last = shape[first] == hidden, shape[last] == hidden
    if is_first != is_last:
        return last if is_first else first
    return last if role in _CUT_INPUT else first


def _times(shape: Shape, axis: int, copies: int) -> Shape:
    return tuple(size * copies if place == axis else size for place, size in enumerate(shape))
