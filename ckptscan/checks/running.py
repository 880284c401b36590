"""Running the checks: which of them, over what, and what came of it."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.checks.values import (
    IGNORED,
    NEEDS,
    NOT_SELECTED,
    SEVERITIES,
    Check,
    Finding,
    Given,
    Subject,
)
from ckptscan.content.values import Content
from ckptscan.errors import UsageError
from ckptscan.names import natural_key
from ckptscan.structure import Structure, describe

if TYPE_CHECKING:
    from ckptscan.checks.proof import Proof

FAMILIES = {  # letter of a code -> what the checks of that family look at, in this order
    "H": "headers",
    "I": "index and shards",
    "C": "config",
    "S": "structure",
    "D": "dtypes",
    "Q": "quantization",
    "X": "security",
    "E": "efficiency",
    "A": "adapters",
    "V": "values",
    "P": "policy",
    "L": "lock",
}


_ORDER = {letter: number for number, letter in enumerate(FAMILIES)}
NOTHING = Given()


class Skip(NamedTuple):
    """A check that was not run, and why."""

    code: str
    reason: str


class Ignored(NamedTuple):
    """A finding that the project allows, and its reason."""

    finding: Finding
    reason: str


class Crash(NamedTuple):
    """A check that failed on its own account: a bug of ours, with its traceback."""

    code: str
    error: str
    traceback: str


class Selection(NamedTuple):
    """Which checks are meant, by code or by the beginning of a code; none selected means all."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What the checks found: the worst first, then by family, code and place; and what was run.

    `ignored` are findings that the settings allow, `known` those of a baseline, if there was one;
    neither counts. `content` is what was read of the tensors, None where nothing was. `proof` is
    there where the checks of promises were run.
    """

    structure: Structure
    findings: tuple[Finding, ...]
    run: tuple[str, ...]
    skipped: tuple[Skip, ...] = ()
    crashed: tuple[Crash, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    known: tuple[Finding, ...] = ()
    has_baseline: bool = False
    content: Content | None = None
    proof: Proof | None = None

    @property
    def checkpoint(self) -> Checkpoint:
        """What was audited."""
        return self.structure.checkpoint

    def count(self, severity: str) -> int:
        """How many findings are of that severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def reaches(self, severity: str) -> bool:
        """Whether a finding is as bad as that, or worse."""
        worst = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return any(finding.severity in worst for finding in self.findings)


@lru_cache(maxsize=1)
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the families and of the codes."""
    from ckptscan.checks import MODULES

    found: list[Check] = []
    for name in MODULES:
        found += import_module(f"ckptscan.checks.{name}").CHECKS
    families = list(FAMILIES)
    return tuple(sorted(found, key=lambda check: (families.index(check.code[0]), check.code)))


def find_check(word: str) -> Check:
    """The check of that code or name; raises UsageError with the nearest one."""
    for check in all_checks():
        if word.upper() == check.code or word.lower() == check.name:
            return check
    words = [word for check in all_checks() for word in (check.code, check.name)]
    raise UsageError(f"no check is called {word!r}", _nearest(word, words))


def _nearest(word: str, words: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(word, words, 1, 0.5)
    close = close or difflib.get_close_matches(word.upper(), words, 1, 0.5)
    return f"did you mean {close[0]}?" if close else "`ckptscan checks` lists all"


def codes_of(words: Iterable[str]) -> frozenset[str]:
    """The codes that these codes, names or beginnings of codes mean; raises UsageError."""
    found: set[str] = set()
    for word in words:
        beginning = word.upper()
        held = {check.code for check in all_checks() if check.code.startswith(beginning)}
        held |= {check.code for check in all_checks() if check.name == word.lower()}
        if not word or not held:
            names = [*FAMILIES, *(check.code for check in all_checks())]
            names += [check.name for check in all_checks()]
            hint = _nearest(word, names)
            raise UsageError(f"no check's code begins with {word!r}", hint)
        found |= held
    return frozenset(found)


def audit(
    subject: Checkpoint | Structure,
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    checks: Sequence[Check] | None = None,
    given: Given = NOTHING,
) -> Audit:
    """Run the checks over a checkpoint; codes or their beginnings choose. Raises UsageError.

    `given` is what the checkpoint is held against; checks that need what is not there are skipped.

    A check that raises is a bug of ours: it is told under `crashed`, and the others are run.
    """
    structure = subject if isinstance(subject, Structure) else describe(subject)
    selected, ignored = codes_of(select), codes_of(ignore)
    looked_at = Subject(structure.checkpoint, structure, given)
    findings: list[Finding] = []
    run, skipped, crashed = [], [], []
    for check in all_checks() if checks is None else checks:
        if check.code in ignored:
            skipped.append(Skip(check.code, IGNORED))
        elif selected and check.code not in selected:
            skipped.append(Skip(check.code, NOT_SELECTED))
        elif check.needs and getattr(given, check.needs) is None:
            reason = given.absent.get(check.needs, NEEDS[check.needs])
            skipped.append(Skip(check.code, reason))
        else:
            run.append(check.code)
            try:
                findings += list(check.look(looked_at))
            except Exception as error:  # a bug of ours: the others are still run
                crashed.append(_crash(check, error))
    found = tuple(sorted(findings, key=_rank))
    proof = _proof(looked_at, run, crashed)
    return Audit(
        structure,
        found,
        tuple(run),
        tuple(skipped),
        tuple(crashed),
        content=given.content,
        proof=proof,
    )


def _proof(subject: Subject, run: Sequence[str], crashed: list[Crash]) -> Proof | None:
    """What the promises of the config prove, where they were asked about."""
    from ckptscan.checks.config_promises import LOST
    from ckptscan.checks.proof import prove

    if LOST.code not in run or not subject.structure.families:
        return None
    try:
        return prove(subject)
    except Exception as error:  # a bug of ours: the findings are still told
        crashed.append(_crash(LOST, error))
        return None


def _crash(check: Check, error: Exception) -> Crash:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    return Crash(check.code, f"{type(error).__name__}: {error}", "".join(lines))


def _rank(finding: Finding) -> tuple[object, ...]:
    place = finding.where[0] if finding.where else None
    file = natural_key(place.file or "") if place else natural_key("")
    name = natural_key(place.pattern or place.tensor or "") if place else natural_key("")
    severity, family = SEVERITIES.index(finding.severity), _ORDER.get(finding.code[0], len(_ORDER))
    return severity, family, finding.code, file, name, finding.message
