"""What a tensor is for: a role from its name, confirmed by its shape and by what stands beside it.

The words are fixed: `embedding`, `q`, `expert.gate_up`, `norm`, `buffer` ... and `other` for what
isn't known. General rules over path, name, shape and siblings; no list of models.
"""

from ckptscan.structure.roles.rules import roles_of
from ckptscan.structure.roles.values import (
    OTHER,
    PARTS,
    ROLES,
    UNKNOWN,
    Role,
    Shape,
    Surroundings,
    part_of,
)

__all__ = [
    "OTHER",
    "PARTS",
    "ROLES",
    "UNKNOWN",
    "Role",
    "Shape",
    "Surroundings",
    "part_of",
    "roles_of",
]
