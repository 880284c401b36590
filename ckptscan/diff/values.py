"""What a comparison gives: changes of tensors, settings and files, and what they amount to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from ckptscan.content.pairs.values import OPEN, Found
from ckptscan.names import IndexSet
from ckptscan.structure import Structure
from ckptscan.structure.match import Matching, Part

# kinds of change in the order in which they go before each other
REMOVED, ADDED, AUXILIARY = "removed", "added", "auxiliary"
RESTRUCTURED, REQUANTIZED, RESHAPED = "restructured", "requantized", "reshaped"
CAST, RENAMED, CONTENT, MOVED = "cast", "renamed", "content", "moved"
IDENTICAL, UNPROVED = "identical", OPEN
# the fields of a summary, in the order of the JSON contract
KINDS = (
    IDENTICAL,
    CONTENT,
    CAST,
    REQUANTIZED,
    RESHAPED,
    RENAMED,
    RESTRUCTURED,
    MOVED,
    ADDED,
    REMOVED,
    AUXILIARY,
    UNPROVED,
)
PRECEDENCE = (RESTRUCTURED, REQUANTIZED, RESHAPED, CAST, RENAMED, CONTENT, MOVED)
HEADERS, PROVED, BY_SAMPLES = "headers", "proved", "sampled"
# layers, h, block, resblocks, single_transformer_blocks
_LAYERS = re.compile(r"h|.*(?:layers?|blocks?)", re.DOTALL)


class Fact(NamedTuple):
    """One way in which tensors differ: what it was, what it is, or how in words."""

    kind: str
    before: str = ""
    after: str = ""
    how: str = ""


class Evidence(NamedTuple):
    """On what a change rests.

    `how` is name, layers, rule, module, role or shapes; of tensors of one side alone books where
    they came or went with a packing, else "". `rule` is the rule of renaming in words. `is_sure` is
    False where the headers allow another reading. `content` is identical or changed where that is
    proved, sampled where samples show no difference, else unproved; "" where there is nothing to be
    compared. `found` is what was read of it, figures of all tensors together; None where nothing
    was asked for.
    """

    how: str
    rule: str = ""
    is_sure: bool = True
    content: str = ""
    found: Found | None = None


class Change(NamedTuple):
    """Tensors of A and what they are in B, all with the same facts.

    `kind` is the gravest of the facts. One side is empty where a tensor is new or gone.
    """

    kind: str
    a: tuple[Part, ...]
    b: tuple[Part, ...]
    facts: tuple[Fact, ...]
    evidence: Evidence

    @property
    def tensors(self) -> int:
        """How many tensors of A; of B where A has none of them."""
        return sum(part.tensors for part in self.a or self.b)

    @property
    def nbytes(self) -> int:
        """Bytes of these tensors, as stored."""
        return sum(part.nbytes for part in self.a or self.b)

    @property
    def is_tolerated(self) -> bool:
        """Whether its content differs by no more than the user allows."""
        return self.evidence.found is not None and self.evidence.found.is_tolerated

    def fact(self, kind: str) -> Fact | None:
        """The fact of a kind, None where there is none."""
        return next((one for one in self.facts if one.kind == kind), None)


class Setting(NamedTuple):
    """A key of a config file that differs; `a` and `b` are what each side says.

    `in_a` and `in_b` tell an absent key from one that says null. `key` is a dotted path.
    """

    file: str
    key: str
    a: object
    b: object
    in_a: bool
    in_b: bool


class FileChange(NamedTuple):
    """A file of either side: added, removed, changed, same or unknown.

    Only digests, sizes and the identity of a stored file are asked.
    """

    path: str
    status: str
    a_size: int | None
    b_size: int | None
    is_weights: bool


class LayerChange(NamedTuple):
    """Numbered children that one side lacks: layers, experts.

    `gone` are numbers of A, `new` of B. `is_renumbered` where those kept have other numbers in B.
    `is_sure` is False where alike ones could be meant as well. `is_read` where their norms told it,
    `copied` are then numbers of A that new ones of B repeat.
    """

    a: str
    b: str
    a_count: int
    b_count: int
    gone: IndexSet
    new: IndexSet
    is_renumbered: bool
    is_sure: bool
    is_read: bool = False
    copied: IndexSet = IndexSet(())

    @property
    def noun(self) -> str:
        """`layer`, `expert` for the children of a mixture, else `module`."""
        container = self.a.rpartition(".")[2].lower()
        if "expert" in container:
            return "expert"
        return "layer" if _LAYERS.fullmatch(container) else "module"


class Verdict(NamedTuple):
    """What the changes amount to, in words; `proof` is headers, sampled or proved."""

    code: str
    text: str
    proof: str


@dataclass(frozen=True)
class Diff:
    """What differs between two checkpoints, and on what evidence.

    `changes` hold every tensor of both sides that was asked for, in the order of A's families, then
    what is new. `layers` are numbered modules that one side lacks. `bytes_read` of tensors were
    read to compare them, None where that was not asked for; `bytes_wanted` would settle the rest.
    """

    a: Structure
    b: Structure
    changes: tuple[Change, ...]
    config: tuple[Setting, ...]
    files: tuple[FileChange, ...]
    layers: tuple[LayerChange, ...]
    verdicts: tuple[Verdict, ...]
    matching: Matching
    bytes_read: int | None = None
    bytes_wanted: int = 0

    @cached_property
    def summary(self) -> Mapping[str, int]:
        """Tensors by kind of change, those of A wherever A has them."""
        counts = dict.fromkeys(KINDS, 0)
        for change in self.changes:
            if change.kind != AUXILIARY or change.a:
                counts[change.kind] += change.tensors
        counts[AUXILIARY] += self.new_auxiliary
        return counts

    @cached_property
    def new_auxiliary(self) -> int:
        """Those of `auxiliary` that only B has: books of weights that A stores without any."""
        kept = {part.unit.module for part in self._books("a")}
        return sum(part.tensors for part in self._books("b") if part.unit.module not in kept)

    def _books(self, side: str) -> list[Part]:
        books = [change for change in self.changes if change.kind == AUXILIARY]
        if side == "a":
            return [part for change in books for part in change.a]
        return [part for change in books if not change.a for part in change.b]

    @property
    def chosen(self) -> tuple[int, int]:
        """How many tensors of either side the changes speak of: all, unless some were chosen."""
        of_a = sum(part.tensors for one in self.changes for part in one.a)
        return of_a, sum(part.tensors for one in self.changes for part in one.b)

    @property
    def differs(self) -> bool:
        """Whether anything is known to differ; what is not proved equal is not known to."""
        return self.has_changes or bool(self.config) or self.has_other_files

    @property
    def has_changes(self) -> bool:
        """Whether a tensor is known to differ by more than is tolerated, or to lie elsewhere."""
        return any(
            change.kind not in (IDENTICAL, UNPROVED)
            and not (change.kind == CONTENT and change.is_tolerated)
            for change in self.changes
        )

    @property
    def has_other_content(self) -> bool:
        """Whether numbers of a tensor that both have differ by more than is tolerated."""
        return any(change.fact(CONTENT) and not change.is_tolerated for change in self.changes)

    @property
    def has_other_files(self) -> bool:
        """Whether a file is new, gone or changed."""
        return any(file.status in ("added", "removed", "changed") for file in self.files)

    @property
    def is_identical(self) -> bool:
        """Whether all tensors are proved equal under equal names, and all settings are."""
        same = (IDENTICAL, MOVED)
        is_same = all(
            change.kind in same and change.evidence.content == IDENTICAL for change in self.changes
        )
        return is_same and not self.config
