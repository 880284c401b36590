"""Blocks of layers that hold part of what works together: gate and down, and no up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ckptscan.checks.evidence.siblings import Held, Siblings, all_siblings, contents
from ckptscan.structure import Node, Structure

# what a block holds as a whole, and which of it can't be missing: others are not gated, keys are
# used as values, and so are keys and values of another layer
_SETS = (
    (frozenset({"gate", "up", "down"}), frozenset({"up", "down"})),
    (frozenset({"q", "k", "v", "o"}), frozenset({"q", "o"})),
)
_FUSED = frozenset({"gate_up", "qkv", "kv", "q_a", "kv_a", "q_b", "kv_b"})
_MIXTURES = ("expert.", "shared_expert.")
_BESIDE = ("bias", "_bias")


class Torn(NamedTuple):
    """A kind of layer in whose block a projection is missing, by its role; `held` with names."""

    siblings: Siblings
    kind: Node
    block: str
    role: str
    held: tuple[tuple[str, Held], ...]


def torn_blocks(structure: Structure) -> Iterator[Torn]:
    """Blocks that lack one of a set which other blocks of the model hold, under the same names."""
    found: list[Torn] = []
    whole: dict[tuple[str, frozenset[str]], str] = {}  # all but one of a set -> the one's role
    for siblings in all_siblings(structure):
        for kind in () if siblings.is_experts else siblings.kinds:
            blocks = _roles(kind)
            for block, roles in blocks.items():
                for together, needed in _SETS:
                    absent = together - roles.keys()
                    if not absent:
                        named = {role: roles[role][0] for role in together}
                        for role in needed:
                            rest = frozenset(name for one, name in named.items() if one != role)
                            whole[_label(block, role), rest] = role
                    elif (
                        len(absent) == 1
                        and absent <= needed
                        and not roles.keys() & _FUSED
                        and not absent & _within(block, blocks)
                    ):
                        held = tuple(roles[role] for role in sorted(together - absent))
                        found.append(Torn(siblings, kind, block, next(iter(absent)), held))
    for torn in found:
        names = frozenset(name for name, _ in torn.held)
        if whole.get((_label(torn.block, torn.role), names)) == torn.role:
            yield torn


def _within(block: str, blocks: Mapping[str, Mapping[str, object]]) -> frozenset[str]:
    """The roles of what lies deeper in a block: attn.to_out.0, in a row with its dropout."""
    inner = (roles for path, roles in blocks.items() if path.startswith(f"{block}."))
    return frozenset().union(*inner)


def _label(block: str, role: str) -> str:
    """What a whole block must be called for another to be like it; feed-forwards have many names.

    BERT's `self` has its output beside it; GroupViT's `assign` is no `self_attn`.
    """
    return block.rpartition(".")[2] if role in ("q", "o") else ""


def _roles(kind: Node) -> Mapping[str, Mapping[str, tuple[str, Held]]]:
    """The weights of a layer by block and role, each with the name of its module."""
    found: dict[str, dict[str, tuple[str, Held]]] = {}
    for suffix, held in contents(kind).items():
        block, _, module = suffix.rpartition(".")[0].rpartition(".")
        role = held[0].end.role.name
        for mixture in _MIXTURES:
            role = role.removeprefix(mixture)
        if "*" not in block and not suffix.endswith(_BESIDE):
            found.setdefault(block, {})[role] = module, held[0]
    return found
