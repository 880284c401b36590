"""Tensors as columns, for formats that are queried: those of the table, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from ckptscan.report.rows import tensor_rows

if TYPE_CHECKING:
    from ckptscan.report.options import Layout
    from ckptscan.structure import Structure


def tensor_columns(structure: Structure, layout: Layout) -> Mapping[str, Sequence[object]]:
    """The tensors that a layout shows, in its order: `TensorTable.to_dict`, pattern and role."""
    rows = tensor_rows(structure, layout).shown
    meant = {}
    for family in structure.families:
        meant.update(dict.fromkeys(family.rows, (family.pattern, structure.role(family))))
    plain = cast("dict[str, Sequence[object]]", structure.checkpoint.table.to_dict(rows))
    return {
        **plain,
        "pattern": [meant[row][0] for row in rows],
        "role": [meant[row][1] for row in rows],
    }
