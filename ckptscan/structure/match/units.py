"""Structure -> units: what takes part in matching, under names that packing does not change."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.late import Late
from ckptscan.structure.families import Family
from ckptscan.structure.match.regions import Region
from ckptscan.structure.match.values import Unit
from ckptscan.structure.quantized import unpacked_name
from ckptscan.structure.roles import UNKNOWN
from ckptscan.structure.scene import tower_of
from ckptscan.structure.summary import Structure, key_of
from ckptscan.structure.wrappers import unwrap

# segments that tell modules apart which hold the same roles
_KIN = (
    ("encoder", Late(r"(?i)^encoder")),
    ("decoder", Late(r"(?i)^decoder")),
    ("cross", Late(r"(?i)cross|enc_?dec|encoder_attn")),
    ("mtp", Late(r"(?i)^(mtp|nextn)(_|$)|^shared_head$|^eh_proj$")),
    ("lora", Late(r"(?i)lora")),
)
_BOOKS = frozenset({"quantization"})


def units_of(structure: Structure) -> list[Unit]:
    """The units of a structure, in the order of its families, in its own numbering."""
    shown, _ = unwrap(structure.families)
    return [
        _unit(structure, family, shown[family.component, family.pattern])
        for family in structure.families
    ]


def _unit(structure: Structure, family: Family, shown: list[str]) -> Unit:
    packing = structure.packings.get(key_of(family))
    meaning = structure.meaning(family)
    role = meaning.role if meaning else UNKNOWN
    component = (f"{family.component}/",) if family.component else ()
    segments = (*component, *shown[:-1], unpacked_name(shown[-1], packing))
    path = ".".join(segments)
    return Unit(
        family,
        segments,
        _region(family),
        role,
        meaning.shape if meaning else None,
        family.kind.numel if meaning is None or (meaning.each == 0) else meaning.each,
        packing,
        tower_of(path),
        frozenset(word for word, pattern in _KIN if any(map(pattern.search, segments))),
        role.name in _BOOKS,
    )


def _region(family: Family) -> Region:
    axes = tuple(map(frozenset, family.axes))
    if family.instances is None:
        return Region(axes)
    return Region.of(family.instances, len(axes))


def renumbered(unit: Unit, own_of: Mapping[int, int]) -> Unit:
    """A unit of B in A's numbering; `own_of` gives A's numbers -> its own."""
    back = {own: number for number, own in own_of.items()}
    region = unit.region.mapped(0, lambda number: back.get(number, number))
    return Unit(
        unit.family,
        unit.segments,
        region,
        unit.role,
        unit.shape,
        unit.each,
        unit.packing,
        unit.tower,
        unit.kin,
        unit.is_book,
        own_of,
    )
