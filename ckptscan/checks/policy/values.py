"""The values that a line of policy is read into."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple


class Group(NamedTuple):
    """The tensors that are meant: of these roles, or whose names match; neither means all.

    `words` is how the group was written, without quotes.
    """

    words: str
    roles: frozenset[str] = frozenset()
    glob: str | None = None
    leaf: str = ""

    @property
    def is_by_role(self) -> bool:
        """Whether what tensors are for decides, which names and shapes tell."""
        return bool(self.roles)


EVERYTHING = Group("all")


class Amount(NamedTuple):
    """A number; `step` is what the last written digit is worth where it has a unit, else 0."""

    value: Fraction
    step: Fraction
    text: str


class Limit(NamedTuple):
    """More than this is too much: a share in percent of a measure, or bytes where it has none."""

    amount: Amount
    measure: str = ""


@dataclass(frozen=True)
class OfDTypes:
    """All tensors of a group are of one of these dtypes."""

    group: Group
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class OfBits:
    """Each parameter of a group takes so many bits."""

    group: Group
    bits: int


@dataclass(frozen=True)
class OfShape:
    """All tensors of a group have this shape; None stands for any length."""

    group: Group
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Unwanted:
    """A group has no tensor (of these dtypes, if any), or not more than a limit."""

    group: Group
    dtypes: tuple[str, ...] = ()
    limit: Limit | None = None


@dataclass(frozen=True)
class NoFiles:
    """No file is of this kind: `pickle files`, `remote code`, or matches a glob."""

    kind: str
    glob: str = ""


@dataclass(frozen=True)
class Compared:
    """A figure, of a group if any, stands in this relation to an amount, or between two."""

    figure: str
    comparison: str
    low: Amount
    high: Amount | None = None
    group: Group | None = None


@dataclass(frozen=True)
class Stated:
    """A fact has this value, in lower case; `bits` where they are said of a quantization."""

    fact: str
    value: str
    bits: int | None = None


Assertion = OfDTypes | OfBits | OfShape | Unwanted | NoFiles | Compared | Stated


class Rule(NamedTuple):
    """One line of policy: its text, what it asserts, how bad it is if that is not so, and why.

    `path` is a glob of the sources that it speaks of, "" for all.
    """

    text: str
    assertion: Assertion
    severity: str = "error"
    reason: str = ""
    path: str = ""
