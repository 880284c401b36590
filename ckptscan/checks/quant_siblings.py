"""Projections that engines fuse, quantized in different ways (Q008)."""

from __future__ import annotations

from collections.abc import Iterator

from ckptscan.checks.evidence.packed import Module, packed_ones
from ckptscan.checks.evidence.siblings import place
from ckptscan.checks.values import INFERRED, Check, Finding, Subject
from ckptscan.structure import End, Structure
from ckptscan.structure.counting import ends

_FUSED = (("q", "k", "v"), ("gate", "up"), ("expert.gate", "expert.up"),
          ("shared_expert.gate", "shared_expert.up"))  # fmt: skip
_How = tuple[str, str]


def _uneven(subject: Subject) -> Iterator[Finding]:
    """Projections that run as one are quantized in different ways.

    What it finds: q, k and v, or gate and up, of one block whose weights differ in scheme, bits,
    group or dtype.
    Why it matters: Engines load them as one matrix with one kind of scale, and fail or read one
    with the other's figures (modular#6773, Model-Optimizer#1354).
    Example: q_proj and v_proj are fp8-block, k_proj is BF16.
    What to do: Quantize the members of a group alike.
    """
    structure = subject.structure
    modules = {path: kinds for path, kinds in packed_ones(structure).items() if kinds}
    if not modules:
        return
    for parent, members in _blocks(structure, modules).items():
        for group in _FUSED:
            held = {role: members[role] for role in group if role in members}
            ways = {how for how, _ in held.values()}
            if len(ways) > 1:
                said = {role: " ".join(how).strip() for role, (how, _) in held.items()}
                yield UNEVEN.finding(
                    f"{parent}: {', '.join(f'{role} {way}' for role, way in said.items())}",
                    *(place(end, end.family.axes, end.family.count) for _, end in held.values()),
                    confidence=INFERRED,
                    hint="quantize the members of a group alike",
                    expected="one scheme for all",
                    seen=said,
                )


def _blocks(
    structure: Structure, modules: dict[str, list[Module]]
) -> dict[str, dict[str, tuple[_How, End]]]:
    """How most weights of each role are stored, by the path of the block that holds them."""
    found: dict[str, dict[str, tuple[_How, End]]] = {}
    most: dict[tuple[str, str], int] = {}
    schemes = _schemes(modules)
    roles = {role for group in _FUSED for role in group}
    for end in ends(structure.tree):
        role, pattern = end.role.name, end.family.pattern
        if role not in roles or len(end.family.shape) < 2:
            continue
        module = pattern.rpartition(".")[0]
        block = module.rpartition(".")[0]
        if end.tensors > most.get((block, role), 0):
            most[block, role] = end.tensors
            kind = (pattern, end.family.dtype.name, end.family.shape)
            how = schemes.get(kind, (end.family.dtype.name, ""))
            found.setdefault(block, {})[role] = how, end
    return found


def _schemes(modules: dict[str, list[Module]]) -> dict[tuple[str, str, tuple[int, ...]], _How]:
    found = {}
    for kinds in modules.values():
        for module in kinds:
            for packing in module.packings:
                end = module.leaves.get(packing.weight)
                if end is not None:
                    key = (end.family.pattern, end.family.dtype.name, end.family.shape)
                    group = "" if packing.group is None else str(packing.group)
                    found[key] = (packing.scheme, f"{packing.bits or ''} {group}".strip())
    return found


UNEVEN = Check("Q008", "unevenly-quantized", "warning", _uneven)
CHECKS: tuple[Check, ...] = (UNEVEN,)
