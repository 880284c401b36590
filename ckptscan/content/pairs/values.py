"""What is compared of two tables, and what came out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.sources import Source
from ckptscan.structure import Structure

if TYPE_CHECKING:
    from ckptscan.content.matrices import Matrix

SAME, CHANGED, SAMPLED, OPEN = "identical", "changed", "sampled", "unproved"
CONSISTENT = "consistent"  # packed codes that stand for the other side's numbers


class Side(NamedTuple):
    """One of both checkpoints: what it is called, where its bytes come from."""

    name: str
    source: Source
    structure: Structure


class Run(NamedTuple):
    """Elements of a tensor of A that should be those of a tensor of B, in the same order.

    `a` and `b` are rows of the tables; starts and `units` count elements, or bytes where an element
    is smaller than one. `columns` are units of one row of the matrix. Where `is_turned`, rows of A
    are columns of B. `is_table` is set for tables of tokens, which are read row by row.
    """

    a: int
    b: int
    a_start: int
    b_start: int
    units: int
    columns: int
    dtypes: tuple[str, str]
    widths: tuple[int, int]
    is_turned: bool = False
    is_table: bool = False

    @property
    def is_cast(self) -> bool:
        """Whether both sides have other dtypes."""
        return self.dtypes[0] != self.dtypes[1]

    @property
    def nbytes(self) -> int:
        """Bytes of both sides."""
        return self.units * sum(self.widths)


class Pair(NamedTuple):
    """One tensor and what it became: one run, or several where it was joined or split.

    `group` says which pairs are alike. `doubt` is set where another order of elements is possible,
    so that other bytes prove nothing. `rows` is the rows of a head where they may be permuted,
    `is_square` set where a matrix may be turned although its shape does not tell.
    """

    runs: tuple[Run, ...]
    group: int
    doubt: bool = False
    rows: int = 0
    is_square: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of both sides."""
        return sum(run.nbytes for run in self.runs)

    @property
    def units(self) -> int:
        """Elements that are compared."""
        return sum(run.units for run in self.runs)


class Weights(NamedTuple):
    """One weight as matrices on both sides, one a number of a stack.

    `nbytes` are those of both sides, books of packed ones included; `group`, `doubt` and `rows`
    are as in Pair.
    """

    a: Sequence[Matrix]
    b: Sequence[Matrix]
    group: int
    nbytes: int
    doubt: bool = False
    rows: int = 0

    @property
    def units(self) -> int:
        """Elements that are compared."""
        return sum(math.prod(one.shape) for one in self.a)

    @property
    def dtypes(self) -> tuple[str, str]:
        """Those of plain numbers, "" for packed ones."""
        return self.a[0].dtype, self.b[0].dtype

    @property
    def is_packed(self) -> bool:
        """Whether one side stores codes."""
        return not all(self.dtypes)


class Chunk(NamedTuple):
    """What is read at once of both sides of a run: starts and lengths in units of the tensors."""

    pair: int
    run: Run
    a_start: int
    a_units: int
    b_start: int
    b_units: int

    @property
    def nbytes(self) -> int:
        """Bytes of both sides."""
        return self.a_units * self.run.widths[0] + self.b_units * self.run.widths[1]

    @property
    def stretches(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """For both sides the row, the first byte in it, and how many."""
        run, (width, other) = self.run, self.run.widths
        ours = run.a, self.a_start * width, self.a_units * width
        return ours, (run.b, self.b_start * other, self.b_units * other)


class Figures(NamedTuple):
    """How two stretches differ, as far as they were `seen`; figures of several add up.

    `changed` elements of B are not those of A (rounded to B's dtype), `back` those of A not those
    of B (rounded to A's). `beyond` are out of tolerance. `squares` and `base` are sums of squares
    of the difference and of A, over finite elements; `noise` is what rounding alone would add to
    `squares`.
    """

    seen: int = 0
    changed: int = 0
    back: int = 0
    beyond: int = 0
    largest: float = 0.0
    squares: float = 0.0
    base: float = 0.0
    noise: float = 0.0

    def plus(self, other: Figures) -> Figures:
        """Both together."""
        sums = [one + two for one, two in zip(self, other, strict=True)]
        sums[4] = max(self.largest, other.largest)
        return Figures(*(int(one) for one in sums[:4]), *sums[4:])

    @property
    def different(self) -> int:
        """Elements that differ, by the rounding that explains more."""
        return min(self.changed, self.back)

    @property
    def relative(self) -> float:
        """The L2 of the difference over that of A; infinite where A is zero."""
        if not self.squares:
            return 0.0
        return math.sqrt(self.squares / self.base) if self.base else math.inf


class Fit(NamedTuple):
    """How well packed codes stand for the other side's numbers.

    `steps` is the largest error in steps between codes, `inexact` counts numbers that are others
    after rounding. `is_scaled` where rows or columns had to be scaled to fit.
    """

    steps: float = 0.0
    inexact: int = 0
    is_scaled: bool = False

    def plus(self, other: Fit) -> Fit:
        """Both together."""
        is_scaled = self.is_scaled or other.is_scaled
        return Fit(max(self.steps, other.steps), self.inexact + other.inexact, is_scaled)


class Found(NamedTuple):
    """What is known of the content of a pair.

    `state` is one of SAME, CHANGED, SAMPLED, CONSISTENT, OPEN. `proof` says on what it rests:
    files, xet, bytes or sample. `missed` is the chance that a change of a hundredth of the elements
    was not seen: spread over the tensor, and in one place. `reason` says why a pair is open. `rank`
    is the numerical rank of the difference where it is low. `is_permuted` where rows changed
    places, `is_turned` where rows became columns although the shapes do not tell. `fit` says how
    well codes stand for numbers, where one side is packed.
    """

    state: str = OPEN
    proof: str = ""
    samples: int = 0
    elements: int = 0
    figures: Figures | None = None
    missed: tuple[float, float] | None = None
    reason: str = ""
    rank: int | None = None
    is_permuted: bool = False
    is_turned: bool = False
    is_tolerated: bool = False
    fit: Fit | None = None


class Reach(NamedTuple):
    """How far samples go: blocks of files at hand, requests for files that lie elsewhere.

    Where tensors are more than that, some are chosen: from afar neighbours, that are read together.
    """

    near: int
    far: int


# what nobody has to think of: two DeepSeek-V3 on disk take 0.2 s more, and on the Hub, with five
# files changed, no more than 25 requests in all
BRIEF = Reach(1024, 14)
THOROUGH = Reach(8192, 2048)


class Wish(NamedTuple):
    """How much is read, and how.

    `samples` blocks of each tensor, none where 0; all bytes where `full`. `most` bytes of both
    sides together, None for any number. `tolerance` is relative and absolute; elements within it
    are told as such. `reach` bounds the work of samples.
    """

    samples: int = 4
    full: bool = False
    xet: bool = False
    seed: int = 0
    most: int | None = None
    tolerance: tuple[float, float] | None = None
    reach: Reach = BRIEF


class Reading(NamedTuple):
    """What came out for each pair, how many bytes were read, and how many would settle the rest."""

    found: Mapping[int, Found]
    nbytes: int = 0
    wanted: int = 0

    def plus(self, other: Reading) -> Reading:
        """Both together."""
        found = {**self.found, **other.found}
        return Reading(found, self.nbytes + other.nbytes, self.wanted + other.wanted)


def missed(seen: int, blocks: int, units: int) -> tuple[float, float]:
    """The chance that a change of a hundredth of the elements lies beside what was seen.

    Spread over the tensor at random, and in one place: then only where it begins is random.
    """
    spread = float(0.99**seen)
    within = units / 100 + seen / max(1, blocks)
    return spread, max(0.0, 1 - blocks * within / units)
