"""What reading tensors gives: statistics of each, digests, which hold the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Number = int | float


class Sample(NamedTuple):
    """How much of each tensor is read: a share of its bytes, or at most so many bytes.

    The first and last page are always read; which of the others, `seed` and the tensor's name say.
    """

    share: float | None = None
    nbytes: int | None = None
    seed: int = 0

    def __str__(self) -> str:
        amount = f"{self.share:.6g}%" if self.share is not None else f"{self.nbytes:,} bytes"
        return f"{amount} of each tensor, seed {self.seed}"


class Wish(NamedTuple):
    """What is to be read: tensors whose names match, all or a sample of them; and whole files.

    With `tensors` off nothing is measured; with `hashes` on the sha256 of files is taken.
    """

    tensors: bool = True
    match: Callable[[str], bool] | None = None
    sample: Sample | None = None
    hashes: bool = False


class Statistics(NamedTuple):
    """What one tensor holds, as far as it was read.

    `seen` elements of `numel` were looked at for NaN and infinities, for the `lowest` and `highest`
    finite ones (None where there is none), and for F16 how many are `saturated`, at +-65504.
    `measured` elements were counted and summed up, of floats: those of the first MiB and of one
    page of 64 KiB in eight after it, the finite ones. Of these `zeros` are zero, `subnormal` below
    the smallest normal number of F16; `total` and `squares` are their sums. Of integers `zeros`
    are all that are seen. `fingerprint` tells bytes apart, as far as they were read.
    `hole` is where the longest run of pages of zeros begins in the tensor, and its bytes; `repeats`
    are pages that hold what another page of the tensor holds, zeros left out, `pages` all pages.
    """

    numel: int
    seen: int = 0
    nan: int = 0
    inf: int = 0
    negative_inf: int = 0
    zeros: int = 0
    lowest: Number | None = None
    highest: Number | None = None
    measured: int = 0
    total: float = 0.0
    squares: float = 0.0
    saturated: int = 0
    subnormal: int = 0
    fingerprint: str = ""
    hole: tuple[int, int] = (0, 0)
    repeats: int = 0
    pages: int = 0

    @property
    def absmax(self) -> Number:
        """The largest finite magnitude."""
        return max(abs(self.lowest or 0), abs(self.highest or 0))

    @property
    def is_zero(self) -> bool:
        """Whether every element that was seen is zero."""
        return self.is_constant and self.highest == 0

    @property
    def is_constant(self) -> bool:
        """Whether every element that was seen has one value."""
        is_finite = not self.nan and not self.inf and self.lowest is not None
        return is_finite and self.lowest == self.highest

    @property
    def mean(self) -> float:
        """The mean of the finite elements that were measured; NaN where there is none."""
        return self.total / self.measured if self.measured else math.nan

    @property
    def std(self) -> float:
        """The standard deviation of them; NaN where there is none, infinite where it overflows."""
        if not self.measured or not math.isfinite(self.squares):
            return math.inf if self.measured else math.nan
        return math.sqrt(max(0.0, self.squares / self.measured - self.mean**2))


class RowUse(NamedTuple):
    """The rows of a table that look untrained, as ranges `0-3,7` of row numbers.

    `small` rows are zero or nearly so beside the others; `same` rows hold what another row holds.
    """

    rows: int
    small: str = ""
    small_count: int = 0
    same: str = ""
    same_count: int = 0


@dataclass(frozen=True)
class Content:
    """What was read of a checkpoint's tensors, by row of its table.

    `alike` are groups of rows that hold the same bytes: proved by sha256 where they were read
    whole, by what was read of them otherwise. `tables` tells of rows of embeddings. `hashes` are
    the sha256 of files. `trailing` tells of files with bytes after their last tensor whether those
    that were read are all zero. `unread` are rows that can't be read, and why.
    `sampled` says in words what was read where it is not all, `limited` that names were chosen.
    """

    statistics: Mapping[int, Statistics] = field(default_factory=dict)
    tables: Mapping[int, RowUse] = field(default_factory=dict)
    alike: tuple[tuple[int, ...], ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    trailing: Mapping[str, bool] = field(default_factory=dict)
    unread: Mapping[int, str] = field(default_factory=dict)
    sampled: str | None = None
    limited: bool = False
    bytes_read: int = 0
    bytes_resumed: int = 0

    @property
    def tensors_read(self) -> int:
        """How many tensors were looked at."""
        return len(self.statistics)
