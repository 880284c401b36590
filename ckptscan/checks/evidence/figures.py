"""The figures of a model's layers beside those of its config: widths by role."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ckptscan.config import Config
from ckptscan.late import Late
from ckptscan.structure import End, Node, Structure
from ckptscan.structure.expected.stacks import CAUSAL, Stack, is_causal, layer_stacks

__all__ = [
    "CAUSAL",
    "Shape",
    "Stack",
    "is_causal",
    "is_declared",
    "layer_stacks",
    "main_stacks",
    "role_shapes",
    "shape_of",
]

Shape = tuple[int, ...]
# keys and flags of configs that speak of two sides
_TWO_SIDED = ("encoder_layers", "decoder_layers", "num_decoder_layers", "decoder_num_hidden_layers")
_MOST_VALUES = 10_000


def main_stacks(structure: Structure) -> list[Stack]:
    """The stacks that config.json's figures are of, without what drafts tokens.

    They are the largest of each tower; of both sides where the config speaks of an encoder and a
    decoder. Where two stacks of one tower are about as large, no figure is known to be of either.
    """
    groups: dict[tuple[str, str, str], list[Stack]] = {}
    for stack in layer_stacks(structure):
        component = stack.path.partition("/")[0] if structure.checkpoint.configs else ""
        side = stack.side if _has_sides(stack.config) else ""
        groups.setdefault((component, stack.tower, side), []).append(stack)
    found = []
    for group in groups.values():
        largest, *others = sorted(group, key=lambda stack: -stack.nbytes)
        if all(2 * other.nbytes <= largest.nbytes for other in others):
            found.append(largest)
    return _without_disguised(structure, found)


def _has_sides(config: Config) -> bool:
    """Whether the config is that of an encoder and a decoder in one."""
    said = config.flag("is_encoder_decoder") is True
    return said or any(config.said(key) is not None for key in _TWO_SIDED)


def _without_disguised(structure: Structure, found: list[Stack]) -> list[Stack]:
    """Without encoders that are the tower of a config's section, under a name that tells none."""
    document = structure.checkpoint.config.documents.get("config.json", {})
    towers = {stack.tower for stack in found}
    is_hidden = any(
        isinstance(document.get(f"{tower}_config"), dict) and tower not in towers
        for tower in ("vision", "audio")
    )
    return [stack for stack in found if not (is_hidden and stack.side == "encoder")]


def is_declared(structure: Structure, value: int, words: Late) -> bool:
    """Whether config.json says this figure under a key of such a name, at any depth."""
    waiting: list[tuple[str, object]] = [
        ("", structure.checkpoint.config.documents.get("config.json", {}))
    ]
    for key, held in waiting:  # grows while it is walked
        if type(held) is int and held == value and words.search(key):
            return True
        if len(waiting) < _MOST_VALUES:
            waiting += held.items() if isinstance(held, Mapping) else ()
            parts = held if isinstance(held, list) else ()  # numbers in lists are of layers
            waiting += ((key, one) for one in parts if isinstance(one, Mapping))
    return False


def role_shapes(node: Node) -> Mapping[str, Shape]:
    """The logical shapes of one layer's weights by role, (out, in), where headers tell them."""
    found: dict[str, Shape] = {}
    waiting = [(node, False)]
    while waiting:
        above, is_turned = waiting.pop()
        for end in above.ends:
            shape = end.shape
            if shape is not None and len(shape) >= 2 and above.label != "bias":
                shape = shape[::-1] if is_turned else shape
                # the larger one of two: LiLT's layout has keys of its own
                known = found.get(end.role.name)
                if known is None or prod(known) < prod(shape):
                    found[end.role.name] = shape
        for child in above.children:
            turned = child.kind is not None and child.kind.name == "Conv1D"
            waiting.append((child, is_turned if child.ends else turned))
    return found


def shape_of(end: End) -> Shape:
    """The logical shape of a tensor; (0,) where it is not known."""
    return end.shape or (0,)
