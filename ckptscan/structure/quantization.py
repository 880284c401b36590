"""How a model is quantized, as a whole: what its packed weights have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptscan.structure.modules import Packed

Shape = tuple[int, ...]

# from the surest to the least sure
LABELS = ("exact", "peeked", "config", "inferred", "assumed", "unknown")


class Scheme(NamedTuple):
    """Packed weights of one scheme, bits and group: how many, their logical elements, their bytes.

    `numel` is None where headers do not tell it. `nbytes` holds the book-keeping too. `group` is
    the number of weights that share a scale, or a block's shape; None is one scale a tensor or
    channel.
    """

    scheme: str
    bits: int | None
    group: int | Shape | None
    label: str
    weights: int
    numel: int | None
    nbytes: int
    formula: str


class Quantization(NamedTuple):
    """The scheme that most packed weights have, first in `schemes`; `problems` contradict it."""

    schemes: tuple[Scheme, ...]
    declared: str | None
    problems: tuple[str, ...] = ()

    @property
    def main(self) -> Scheme:
        """The scheme of most packed weights."""
        return self.schemes[0]


def summarize(
    packed: Iterable[Packed], declared: str | None, problems: Sequence[str]
) -> Quantization | None:
    """The schemes of these packed weights, the largest first; None where there are none."""
    alike: dict[tuple[object, ...], list[Packed]] = {}
    for one in packed:
        how = one.packing
        alike.setdefault((how.scheme, how.bits, how.group), []).append(one)
    schemes = sorted(map(_scheme, alike.values()), key=lambda one: -one.nbytes)
    return Quantization(tuple(schemes), declared, tuple(problems)) if schemes else None


def _scheme(members: Sequence[Packed]) -> Scheme:
    first = members[0].packing
    sizes = [one.numel for one in members]
    known = [one.times * size for one, size in zip(members, sizes, strict=True) if size is not None]
    return Scheme(
        first.scheme,
        first.bits,
        first.group,
        least_sure(one.packing.label for one in members),
        sum(one.times for one in members),
        sum(known) if len(known) == len(members) else None,
        sum(one.times * one.nbytes for one in members),
        first.formula,
    )


def least_sure(labels: Iterable[str]) -> str:
    """The label of a figure that rests on all of these; `exact` where there are none."""
    return max(
        labels, key=lambda label: LABELS.index(label) if label in LABELS else 99, default="exact"
    )
