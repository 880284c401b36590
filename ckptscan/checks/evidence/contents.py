"""What was read of tensors, by family, with what the tensors are for; judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ckptscan.checks.values import Subject
from ckptscan.content.values import Content, Statistics
from ckptscan.structure import Family

# what a model computes with in every step: none of these is zero, or alike all over, by design
CORE = frozenset(
    "embedding lm_head q k v o qkv kv q_a q_b kv_a kv_b gate up down gate_up "
    "expert.gate expert.up expert.down expert.gate_up "
    "shared_expert.gate shared_expert.up shared_expert.down shared_expert.gate_up".split()
)
# what is no more zero than these, where its siblings are not
TRAINED = CORE | frozenset("ssm linear_attention rwkv rnn router mtp projector patch".split())
TABLES = frozenset({"embedding", "lm_head"})
# what the residual stream gets added: zero in a block that was put in to change nothing
RESIDUAL = frozenset({"o", "down", "expert.down", "shared_expert.down"})
# what is zero, or all alike, before training, or always; books and buffers are judged apart
UNTRAINED = frozenset(
    "lora.b lora.magnitude lora.alpha modulation layer_scale position token token_type "
    "buffer rope quantization norm qk_norm router_bias sinks time".split()
)
_FLOATS = ("float", "complex")


class Read(NamedTuple):
    """One tensor that was read."""

    row: int
    name: str
    found: Statistics


class Group(NamedTuple):
    """The tensors of a family that were read."""

    family: Family
    role: str
    tensors: tuple[Read, ...]

    @property
    def is_float(self) -> bool:
        """Whether they hold floats."""
        return self.family.dtype.kind in _FLOATS

    @property
    def is_bias(self) -> bool:
        """Whether they are called a bias."""
        return "bias" in self.family.pattern.rpartition(".")[2].lower()

    @property
    def is_matrix(self) -> bool:
        """Whether they have two dimensions and more that are not 1."""
        return sum(dim > 1 for dim in self.family.shape) >= 2

    @property
    def is_weight(self) -> bool:
        """Whether they are matrices that training moves away from where they begin."""
        is_known = self.is_float or self.role in CORE  # integers: packed weights alone
        return self.is_matrix and is_known and not self.is_bias and self.role not in UNTRAINED


def groups(subject: Subject, content: Content | None) -> Iterator[Group]:
    """The families of which something was read, in their order."""
    if content is None:
        return
    names = subject.checkpoint.table.names
    for family in subject.structure.families:
        held = tuple(
            Read(row, names[row], content.statistics[row])
            for row in family.rows
            if row in content.statistics
        )
        if held:
            yield Group(family, subject.structure.role(family), held)


def holds_same(content: Content | None, some: Iterable[int], others: Iterable[int]) -> bool | None:
    """Whether a tensor of the one kind holds what one of the other does; None if not read."""
    if content is None:
        return None
    mine = [row for row in some if row in content.statistics]
    theirs = {row for row in others if row in content.statistics}
    if not mine or not theirs:
        return None
    return any(theirs.intersection(group) for group in content.alike if {*mine}.intersection(group))


def sampled(content: Content | None) -> str:
    """What a message adds where not all was read."""
    return " in what was sampled" if content is not None and content.sampled else ""
