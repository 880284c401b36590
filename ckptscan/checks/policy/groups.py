"""Which tensors of a checkpoint a group of a policy means, and what they add up to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ckptscan.checks.globs import matcher
from ckptscan.checks.places import bounded, by_pattern, place_of
from ckptscan.checks.policy.values import Group
from ckptscan.checks.values import Where
from ckptscan.structure import Family, Structure

BIAS = "bias"  # bias, gate_up_proj_bias, e_score_correction_bias


class Part(NamedTuple):
    """Tensors of one family that a group means: all, or those of these names."""

    family: Family
    tensors: int
    names: Sequence[str] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of these."""
        return self.tensors * self.family.kind.nbytes

    @property
    def numel(self) -> int:
        """Elements of these, as stored."""
        return self.tensors * self.family.kind.numel


def parts_of(structure: Structure, group: Group) -> list[Part]:
    """The tensors that a group means, by family."""
    if group.glob is not None:
        return list(_matching(structure, group.glob))
    found = structure.families
    if group.roles:
        return [Part(one, one.count) for one in found if structure.role(one) in group.roles]
    if group.leaf:
        return [Part(one, one.count) for one in found if _leaf(one).endswith(group.leaf)]
    return [Part(one, one.count) for one in found]


def weights_of(structure: Structure, group: Group) -> list[Part]:
    """The tensors of a group without the biases beside its weights, where a role names it."""
    parts = parts_of(structure, group)
    if not group.is_by_role:
        return parts
    return [part for part in parts if not _leaf(part.family).endswith(BIAS)]


def _leaf(family: Family) -> str:
    return family.pattern.rpartition(".")[2]


def _matching(structure: Structure, glob: str) -> Iterable[Part]:
    """The tensors whose names match; a family is looked at name by name where it must be."""
    is_plain, matches = not set(glob) & set("?["), matcher(glob)
    names = structure.checkpoint.table.names
    for family in structure.families:
        if is_plain and "\\" not in family.pattern and matches(family.pattern):
            yield Part(family, family.count)
            continue
        held = [names[row] for row in family.rows if matches(names[row])]
        if len(held) == family.count:
            yield Part(family, family.count)
        elif held:
            yield Part(family, len(held), held)


def places(parts: Iterable[Part]) -> tuple[Where, ...]:
    """Where these tensors lie, as patterns."""
    found: list[Where] = []
    for part in parts:
        found += [place_of(part.family)] if part.names is None else by_pattern(part.names)
    return bounded(found)


def parameters(structure: Structure, parts: Iterable[Part]) -> int | None:
    """The parameters that these stand for, unpacked; None where headers do not tell it."""
    total = 0
    for part in parts:
        each = each_of(structure, part)
        if each is None:
            return None
        total += each * (part.tensors // part.family.copies)
    return total


def each_of(structure: Structure, part: Part) -> int | None:
    """The parameters of one of these tensors; None where headers do not tell it."""
    meaning = structure.meaning(part.family)
    return meaning.each if meaning is not None else part.family.kind.numel


MEASURES: dict[str, Callable[[Structure, Sequence[Part]], int | None]] = {
    "tensors": lambda _, parts: sum(part.tensors for part in parts),
    "bytes": lambda _, parts: sum(part.nbytes for part in parts),
    "elements": lambda _, parts: sum(part.numel for part in parts),
    "parameters": parameters,
}
