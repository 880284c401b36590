"""Scales that are zero all over, so that every weight that they scale is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ckptscan.structure.quantized import is_scale
from ckptscan.verify.values import Probe


def zero_scales(probes: Iterable[Probe], roles: Mapping[int, str]) -> Iterator[str]:
    """Scales of which all that was loaded is zero, while a weight beside them is not."""
    every = list(probes)
    erased = {
        _module(one.name)
        for one in every
        if roles.get(one.pick.row) != "quantization" and not one.figures.absmax
    }
    for one in every:
        is_book = roles.get(one.pick.row) == "quantization" and is_scale(one.name)
        is_zero = one.figures.finite > 0 and not one.figures.absmax
        if is_book and is_zero and erased.isdisjoint((_module(one.name), _owner(one.name))):
            yield f"{one.name}: all {one.figures.finite:,} scales are zero"


def _module(name: str) -> str:
    """The module that a tensor lies in."""
    return name.rpartition(".")[0]


def _owner(name: str) -> str:
    """The module of a weight whose book it is: of `q_proj.weight.absmax` it is `q_proj`."""
    return _module(_module(name))
