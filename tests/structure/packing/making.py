"""Leaves of a module from one line of text, and what a packing says in one tuple."""

from __future__ import annotations

from math import prod

from ckptscan.dtypes import dtype
from ckptscan.header import Kind
from ckptscan.structure.packing import Hints, Packing, unpack

NO_HINTS = Hints()


def kind(name: str, *shape: int) -> Kind:
    numel = prod(shape)
    return Kind(dtype(name), shape, numel, numel * (dtype(name).bits or 0) // 8)


def leaves(text: str) -> dict[str, Kind]:
    """`qweight I32 512 4096; scales F16 32 4096`: leaf, dtype, shape."""
    held = {}
    for line in filter(None, map(str.strip, text.split(";"))):
        leaf, name, *dims = line.split()
        held[leaf] = kind(name, *map(int, dims))
    return held


def one(text: str, hints: Hints = NO_HINTS) -> Packing:
    """The only packing of these leaves."""
    (found,) = unpack(leaves(text), hints)
    return found


def said(found: Packing) -> tuple[object, ...]:
    """What a table of cases compares."""
    return found.scheme, found.bits, found.group, found.shape, found.label
