"""Tree and families as columns, which the scripts of a page read; names are printable already.

A family has the pieces of its pattern and the sets of indices between them, so that the names of
200,000 tensors are made when somebody asks for them.
"""

from __future__ import annotations

from typing import Any

from ckptscan.names import split_stars, unescape
from ckptscan.report import words
from ckptscan.report.html.page import number
from ckptscan.report.options import Layout
from ckptscan.report.rows import TreeRow, tree_rows
from ckptscan.structure import Family, Structure
from ckptscan.structure.roles import OTHER, PARTS, part_of

_NONE = -1  # of a code: there is none


class _Codes(dict[str, int]):
    """Words, each with the number that stands for it; a new one gets the next."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]


def columns(structure: Structure) -> dict[str, Any]:
    """All that the scripts show: columns of the tree, columns of the families, words of both."""
    codes: dict[str, _Codes] = {kind: _Codes() for kind in ("dtypes", "shapes", "roles")}
    for part in (*PARTS, OTHER):
        codes.setdefault("parts", _Codes())[part]
    for use in structure.dtypes:
        codes["dtypes"][words.label(use.dtype)]
    tree = _tree(structure, codes)
    families = _families(structure, codes)
    return {
        "tree": tree,
        "families": families,
        **{kind: list(held) for kind, held in codes.items()},
        "part_of": [codes["parts"][part_of(role)] for role in codes["roles"]],
    }


def _tree(structure: Structure, codes: dict[str, _Codes]) -> dict[str, list[Any]]:
    rows = tree_rows(structure.tree, Layout())
    held: dict[str, list[Any]] = {
        "depth": [row.depth for row in rows],
        "label": [words.label(row.label) for row in rows],
        "tensors": [row.shown.tensors for row in rows],
        "elements": [number(row.shown.numel) for row in rows],
        "bytes": [number(row.shown.nbytes) for row in rows],
    }
    told = [_codes_of(row, structure, codes) for row in rows]
    return held | {name: [one[name] for one in told] for name in ("role", "dtype", "shape")}


def _codes_of(row: TreeRow, structure: Structure, codes: dict[str, _Codes]) -> dict[str, int]:
    family = row.family
    if family is None:
        return dict.fromkeys(("role", "dtype", "shape"), _NONE)
    return _kind(family, structure, codes)


def _kind(family: Family, structure: Structure, codes: dict[str, _Codes]) -> dict[str, int]:
    return {
        "role": codes["roles"][structure.role(family)],
        "dtype": codes["dtypes"][words.label(family.dtype.name)],
        "shape": codes["shapes"][words.shape(family.shape)],
    }


def _families(structure: Structure, codes: dict[str, _Codes]) -> dict[str, Any]:
    families = structure.families
    told = [_kind(family, structure, codes) for family in families]
    return {
        "pieces": list(map(_pieces, families)),
        "axes": [[str(axis) for axis in family.axes] for family in families],
        "instances": {
            place: [list(instance) for instance in family.instances]
            for place, family in enumerate(families)
            if family.instances is not None
        },
        "count": [family.count for family in families],
        "elements": [number(family.numel) for family in families],
        "bytes": [number(family.nbytes) for family in families],
        **{name: [one[name] for one in told] for name in ("role", "dtype", "shape")},
    }


def _pieces(family: Family) -> list[str]:
    """What stands before, between and after the indices; the component first."""
    first, *rest = map(unescape, split_stars(family.pattern))
    prefix = f"{family.component}/" if family.component else ""
    return [words.label(piece) for piece in (prefix + first, *rest)]
