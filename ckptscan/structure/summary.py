"""Everything that inspect tells about a checkpoint, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.header import Kind
from ckptscan.structure.attention import Attention
from ckptscan.structure.counting import Parameters
from ckptscan.structure.families import Family
from ckptscan.structure.feed_forward import FeedForward
from ckptscan.structure.layers import Layers
from ckptscan.structure.quantization import Quantization
from ckptscan.structure.tree import End, Node
from ckptscan.structure.wrappers import Wrapper

if TYPE_CHECKING:
    from ckptscan.structure.adapters import Adapter
    from ckptscan.structure.declared import Declared
    from ckptscan.structure.expected.values import Expected
    from ckptscan.structure.fingerprint import Fingerprint
    from ckptscan.structure.packing import Packing


FamilyKey = tuple[str, str, Kind]


class DTypeUse(NamedTuple):
    """How much of a checkpoint is stored in one dtype."""

    dtype: str
    tensors: int
    numel: int
    nbytes: int


class RoleUse(NamedTuple):
    """How much of a checkpoint has one role."""

    role: str
    tensors: int
    numel: int
    nbytes: int


class FileUse(NamedTuple):
    """One weight file: sizes in bytes, and how much of what was asked for lies in it."""

    path: str
    size: int
    header_size: int
    tensors: int
    nbytes: int
    digest: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Structure:
    """A checkpoint's families, tree and layers, and what they mean.

    `rows` are the rows that were asked for, None for all; everything else speaks of these, and
    `files` are those that hold one of them. `mtp` is the part of the tree that drafts tokens.
    `meanings` tells role and logical shape of each family, `packings` how packed ones are stored.
    """

    checkpoint: Checkpoint
    rows: tuple[int, ...] | None
    families: tuple[Family, ...]
    tree: Node
    layers: tuple[Layers, ...]
    dtypes: tuple[DTypeUse, ...]
    files: tuple[FileUse, ...]
    mtp: Node | None
    wrappers: tuple[Wrapper, ...]
    meanings: Mapping[FamilyKey, End]
    parameters: Parameters
    quantization: Quantization | None
    attention: tuple[Attention, ...]
    feed_forward: tuple[FeedForward, ...]
    problems: tuple[str, ...]
    packings: Mapping[FamilyKey, Packing] = field(default_factory=dict)

    @property
    def tensors(self) -> int:
        """How many tensors there are."""
        return self.tree.tensors

    @property
    def numel(self) -> int:
        """Elements of all tensors: the sum of the products of their shapes."""
        return self.tree.numel

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, as stored."""
        return self.tree.nbytes

    @cached_property
    def roles(self) -> tuple[RoleUse, ...]:
        """What the tensors are for, the largest first."""
        held: dict[str, list[Family]] = {}
        for family in self.families:
            held.setdefault(self.role(family), []).append(family)
        uses = (
            RoleUse(
                role,
                sum(family.count for family in some),
                sum(family.numel for family in some),
                sum(family.nbytes for family in some),
            )
            for role, some in held.items()
        )
        return tuple(sorted(uses, key=lambda use: (-use.nbytes, use.role)))

    @cached_property
    def main(self) -> Node:
        """The tree without what drafts tokens."""
        return without(self.tree, self.mtp)

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """The model's geometry, and the known model nearest to it."""
        from ckptscan.structure.fingerprint import fingerprint

        return fingerprint(self.main, self.layers, self.attention, self.feed_forward)

    @cached_property
    def geometry_hash(self) -> str:
        """16 hex digits that names, files, dtypes and packing do not change."""
        from ckptscan.structure.fingerprint import geometry_hash

        return geometry_hash(self.main)

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """Counts that the files declare, and which of ours equals each."""
        from ckptscan.structure.declared import find_declared

        return find_declared(self.checkpoint, self.parameters)

    @cached_property
    def expected(self) -> Expected:
        """The tensors that the config promises, and what of that is not kept."""
        from ckptscan.structure.expected.promises import expect

        return expect(self)

    @cached_property
    def adapter(self) -> Adapter | None:
        """The adapter that the tensors make, None where they make none."""
        if not any("lora" in family.pattern.lower() for family in self.families):
            return None
        from ckptscan.structure.adapters import find_adapter

        return find_adapter(self.families, self.checkpoint.config)

    def role(self, family: Family) -> str:
        """What the tensors of the family are for, `other` where it is not known."""
        meaning = self.meaning(family)
        return meaning.role.name if meaning else "other"

    def meaning(self, family: Family) -> End | None:
        """A tensor of the family as it stands in the tree: its role and logical shape."""
        return self.meanings.get(key_of(family))


def without(tree: Node, mtp: Node | None) -> Node:
    """A tree without its part that drafts tokens."""
    return tree.holding([child for child in tree.children if child is not mtp])


def key_of(family: Family) -> FamilyKey:
    """What tells a family from the others of its checkpoint."""
    return family.component, family.pattern, family.kind
