"""What a check looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.content.values import Content
from ckptscan.structure import Structure

if TYPE_CHECKING:
    from ckptscan.checks.evidence.fitting import Fit
    from ckptscan.checks.evidence.indexed import Comparison
    from ckptscan.checks.policy import Rule
    from ckptscan.lock import Compared

SEVERITIES = ("error", "warning", "info")  # the worst first
PROVED = "proved"  # from headers, indexes and file sizes alone
INFERRED = "inferred"  # with what a config says, or what names usually mean
HEADINGS = ("What it finds", "Why it matters", "Example", "What to do")


@dataclass(frozen=True)
class Where:
    """A place: a file, a tensor, or the tensors of a pattern, one IndexSet a star; `count` of them.

    `byte` is an offset from the start of the file, where the finding has one.
    """

    file: str | None = None
    tensor: str | None = None
    pattern: str | None = None
    indices: tuple[str, ...] = ()
    count: int = 1
    byte: int | None = None


@dataclass(frozen=True)
class Finding:
    """One fault: one for 58 layers, not 58. `evidence` holds what was expected and what is seen."""

    code: str
    name: str
    severity: str
    confidence: str
    message: str
    where: tuple[Where, ...] = ()
    evidence: Mapping[str, object] = field(default_factory=dict)
    hint: str = ""


@dataclass(frozen=True)
class Given:
    """What a checkpoint is held against, where the user gave it; see `NEEDS`."""

    base: Structure | None = None  # the model that an adapter belongs to
    policy: tuple[Rule, ...] | None = None  # what the project asserts of it
    lock: Compared | None = None  # what it was, beside what it is
    content: Content | None = None  # what was read of the tensors
    peeked: Content | None = None  # the same, or what a few bytes of a few tensors tell
    digests: Mapping[str, str] | None = None  # sha256 of files by their paths, as they were read
    absent: Mapping[str, str] = field(default_factory=dict)  # field -> why it can't be given


# why a check was not run, where the user chose so
IGNORED, NOT_SELECTED = "ignored", "not selected"
# field of Given -> what a check says that needs it, where it was not given
NEEDS = {
    "base": "asks for --base MODEL",
    "policy": "asks for a policy in the settings",
    "lock": "asks for --lock FILE",
    "content": "asks for --deep",
    "peeked": "asks for --peek or --deep",
    "digests": "asks for --hash",
}


@dataclass(frozen=True)
class Subject:
    """What is audited, and what it is held against. Checks see no options."""

    checkpoint: Checkpoint
    structure: Structure
    given: Given = field(default_factory=Given)

    @cached_property
    def fit(self) -> Fit | None:
        """Where the updates of an adapter go in the base that was given, None without one."""
        if self.given.base is None:
            return None
        from ckptscan.checks.evidence.fitting import fit

        return fit(self.structure, self.given.base)

    @cached_property
    def compared(self) -> Mapping[str, Comparison]:
        """Each index of the chosen set against the headers, by its path."""
        from ckptscan.checks.evidence.indexed import compare

        return {path: compare(self.checkpoint, path) for path in self.checkpoint.used}


class Check(NamedTuple):
    """One rule: its code and name, how bad what it finds is, and the function that looks.

    The docstring of the function is the check's documentation, under HEADINGS. `look` yields
    findings, and never raises, whatever the checkpoint holds. `needs` names a field of Given
    without which there is nothing to look at: the check is skipped then.
    """

    code: str
    name: str
    severity: str
    look: Callable[[Subject], Iterator[Finding]]
    needs: str = ""

    @property
    def documentation(self) -> str:
        """What the check is for, under HEADINGS."""
        import inspect  # slow to load, and no audit asks for it

        return inspect.cleandoc(self.look.__doc__ or "")

    def finding(
        self,
        message: str,
        *where: Where,
        severity: str = "",
        confidence: str = PROVED,
        hint: str = "",
        **evidence: object,
    ) -> Finding:
        """A finding of this check."""
        severity = severity or self.severity
        return Finding(self.code, self.name, severity, confidence, message, where, evidence, hint)
