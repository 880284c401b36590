"""What is not as promised: numbers that are none, and bits that are of another dtype."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.content.formats import LAYOUTS, decode
from ckptscan.dtypes import DTYPES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ckptscan.verify.figures import Figures

HEAD = 64 << 10  # bytes of a tensor by which its dtype is judged
_FEWEST = 1024  # elements that tell a spread
# The logarithm (base 2) of the size of a normal number deviates by 1.6 from its mean, at any scale;
# that of a uniform one by 1.4, of a Laplace one by 1.9; rows and columns of several scales add to
# it. BF16 read as F16 comes to 0.6 and less, F16 read as BF16 to 13, whole numbers to more.
USUAL = (1.0, 4.0)
# then a dtype is wrong, if another one of its width has what is usual
STRANGE = (0.8, 6.0)
_NEAR, _FAR = 40, 90  # powers of two from 1 that a typical weight is, and is never
# roles whose numbers are drawn around zero; norms, scales and tables of angles are not
_PLAIN_ROLES = frozenset(
    "embedding lm_head q k v o qkv kv q_a q_b kv_a kv_b gate up down gate_up router patch "
    "projector expert.gate expert.up expert.down expert.gate_up shared_expert.gate "
    "shared_expert.up shared_expert.down shared_expert.gate_up linear_attention".split()
)


class Look(NamedTuple):
    """The logarithms (base 2) of the sizes of numbers: how they deviate, and the middle one."""

    spread: float
    middle: float

    @property
    def is_usual(self) -> bool:
        """Whether trained weights look so."""
        return USUAL[0] <= self.spread <= USUAL[1] and abs(self.middle) <= _NEAR

    @property
    def is_strange(self) -> bool:
        """Whether no weights look so."""
        is_odd = not STRANGE[0] <= self.spread <= STRANGE[1]
        return is_odd or abs(self.middle) > _FAR


class Seen(NamedTuple):
    """One tensor as it is judged: its role, dtype and dimensions, its figures and first bytes."""

    role: str
    dtype: str
    dims: int
    figures: Figures
    head: NDArray[np.uint8]


def faults_in(seen: Seen) -> Iterator[str]:
    """What contradicts that a tensor holds what its role and dtype promise."""
    figures = seen.figures
    if seen.role != "buffer":  # masks hold infinities by design
        if figures.nan:
            yield f"{figures.nan:,} of {figures.count:,} elements are NaN"
        if figures.inf:
            yield f"{figures.inf:,} of {figures.count:,} elements are infinite"
    other = _other_dtype(seen) if seen.role in _PLAIN_ROLES and seen.dims > 1 else ""
    if other:
        yield f"its bits are spread as those of {other} are, not of {seen.dtype}"


def _other_dtype(seen: Seen) -> str:
    """The dtype of the same width that the bits look like, where they do not look like their own.

    Empty where they do, or nothing can be told.
    """
    own = look(seen.dtype, seen.head) if seen.dtype in LAYOUTS else Look(math.inf, math.inf)
    if own is None or not own.is_strange:
        return ""
    for other in _as_wide(seen.dtype):
        found = look(other, seen.head)
        if found is not None and found.is_usual:
            return other
    return "whole numbers" if own.middle < -_FAR else ""


@lru_cache(maxsize=32)
def _as_wide(dtype: str) -> tuple[str, ...]:
    """The other floats of the same width."""
    bits = DTYPES[dtype].bits if dtype in DTYPES else None
    return tuple(
        name
        for name, layout in LAYOUTS.items()
        if name not in (dtype, "C64") and layout.bits == bits and layout.special != "scale"
    )


def look(dtype: str, head: NDArray[np.uint8]) -> Look | None:
    """How the sizes of elements are spread, were they of this float dtype.

    None where too few elements, or too few different ones, tell it.
    """
    import numpy as np

    if LAYOUTS[dtype].bits < 16:  # of 8 bits and less the coarse steps hide it
        return None
    numbers = decode(dtype, head[: len(head) // 8 * 8])
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    if len(numbers) < _FEWEST or len(np.unique(sizes)) < _FEWEST // 16:
        return None
    logarithms = np.log2(sizes)
    if not np.isfinite(numbers).all():
        return Look(math.inf, float(np.median(logarithms)))
    return Look(float(logarithms.std()), float(np.median(logarithms)))
