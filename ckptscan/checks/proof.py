"""The four-way proof: what the config promises, the index lists, headers hold and files have.

One verdict on a checkpoint, and what of it is missing, beyond, mis-shaped or in another shard. The
checks speak of single faults; this says how much of the whole is proved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ckptscan.checkpoint import Checkpoint
from ckptscan.checks.config_parts import DRAFTING
from ckptscan.checks.config_promises import place_of
from ckptscan.checks.config_sizes import VOCABULARY
from ckptscan.checks.config_ties import HEAD, STORED
from ckptscan.checks.config_widths import SIZES
from ckptscan.checks.places import by_pattern
from ckptscan.checks.structure_missing import ENDS
from ckptscan.checks.values import Check, Subject, Where
from ckptscan.header import LENGTH
from ckptscan.structure.expected.values import BEYOND, MISSING, SHAPE, Expected

PROVED, PARTLY, DIFFERS, NOT_UNDERSTOOD = "proved", "partly", "differs", "not understood"
_MOST = 1000  # places of one list


class Amiss(NamedTuple):
    """A place where two of the four do not agree, and why: a formula, or the other's word."""

    where: Where
    why: str


@dataclass(frozen=True)
class Proof:
    """What is proved of a checkpoint.

    `promised` tensors follow from the config, given the modules that its layers have, `kept` of
    them are there. `index` is how many names the indexes list, None without one; `headers` how
    many tensors the headers hold. `shaped` have the shape that the config's figures make,
    `shaped_bytes` of `nbytes`. `lacking_bytes` of the tensors lie beyond the end of their file.
    `reason` says why the config is not understood, where it isn't.
    """

    verdict: str
    reason: str
    promised: int
    kept: int
    index: int | None
    headers: int
    shaped: int
    nbytes: int
    shaped_bytes: int
    lacking_bytes: int
    missing: tuple[Amiss, ...] = ()
    unexpected: tuple[Amiss, ...] = ()
    mis_shaped: tuple[Amiss, ...] = ()
    mis_sharded: tuple[Amiss, ...] = ()

    @property
    def differences(self) -> int:
        """How many tensors are not as all four have it."""
        lists = (self.missing, self.unexpected, self.mis_shaped, self.mis_sharded)
        return sum(one.where.count for amiss in lists for one in amiss)


def prove(subject: Subject) -> Proof:
    """The four-way proof of a checkpoint."""
    checkpoint, expected = subject.checkpoint, subject.structure.expected
    index, absent, unlisted, elsewhere = _index(subject)
    lacking = list(_short(checkpoint))
    files = (Amiss(Where(path), "the file is not there") for path in checkpoint.missing)
    missing = (*_of_config(expected, MISSING), *_ends(subject, (HEAD, ENDS)), *absent, *files)
    unexpected = (*_of_config(expected, BEYOND), *unlisted)
    drafting = tuple(_ends(subject, (DRAFTING,)))
    if subject.structure.mtp is None:
        missing = (*missing, *drafting)
    else:
        unexpected = (*unexpected, *drafting)
    wrong = (one for check in (VOCABULARY, SIZES, STORED) for one in _errors(subject, check))
    shapes = (*_of_config(expected, SHAPE), *wrong)
    shards = (*elsewhere, *(place for _, place in lacking))
    differs = any((missing, unexpected, shapes, shards)) or checkpoint.incomplete
    lost = sum(one.where.count for one in _ends(subject, (HEAD, ENDS)))
    return Proof(
        _verdict(expected, differs=differs),
        expected.reason,
        expected.promised + (lost if not expected.reason else 0),
        expected.kept,
        index,
        len(checkpoint.table),
        expected.shaped,
        expected.nbytes,
        expected.shaped_bytes,
        sum(nbytes for nbytes, _ in lacking),
        missing[:_MOST],
        unexpected[:_MOST],
        shapes[:_MOST],
        shards[:_MOST],
    )


def _verdict(expected: Expected, *, differs: bool) -> str:
    if differs:
        return DIFFERS
    if expected.reason:
        return NOT_UNDERSTOOD
    return PROVED if expected.shaped == expected.kept == expected.tensors else PARTLY


def _of_config(expected: Expected, what: str) -> Iterator[Amiss]:
    for one in expected.broken:
        if one.what == what:
            yield Amiss(place_of(one), f"{one.formula}: expected {one.expected}, seen {one.seen}")


def _ends(subject: Subject, checks: Iterable[Check]) -> Iterator[Amiss]:
    """What the checks of whole parts say: heads, tables, drafting layers, figures."""
    for check in checks:
        for finding in check.look(subject):
            if finding.severity != "info":
                where = finding.where[0] if finding.where else Where()
                yield Amiss(where, finding.message)


def _errors(subject: Subject, check: Check) -> Iterator[Amiss]:
    """What a check is sure of: a tied head that is stored again, or a padded table, is no fault."""
    for finding in check.look(subject):
        if finding.severity == "error":
            yield Amiss(finding.where[0] if finding.where else Where(), finding.message)


def _index(
    subject: Subject,
) -> tuple[int | None, list[Amiss], list[Amiss], list[Amiss]]:
    """How many names the indexes list; those absent, those unlisted, those in another file."""
    if not subject.compared:
        return None, [], [], []
    count = 0
    absent: list[Amiss] = []
    unlisted: list[Amiss] = []
    elsewhere: list[Amiss] = []
    for path, found in subject.compared.items():
        count += subject.checkpoint.indexes[path].tensors
        if not found.absent and not found.unlisted:
            continue
        held = {name for names in found.unlisted.values() for name in names}
        listed = {name for names in found.absent.values() for name in names}
        for file, names in found.absent.items():
            lost = [name for name in names if name not in held]
            moved = [name for name in names if name in held]
            absent += [Amiss(one, f"{path} names it") for one in by_pattern(lost, file)]
            why = f"{path} puts it there, another file has it"
            elsewhere += [Amiss(one, why) for one in by_pattern(moved, file)]
        for file, names in found.unlisted.items():
            more = [name for name in names if name not in listed]
            unlisted += [Amiss(one, f"not in {path}") for one in by_pattern(more, file)]
    return count, absent, unlisted, elsewhere


def _short(checkpoint: Checkpoint) -> Iterator[tuple[int, Amiss]]:
    """Files that end before their tensors do."""
    for shard in checkpoint.table.shards:
        rows = shard.rows
        end = max(checkpoint.table.ends[rows.start : rows.stop], default=0)
        lacking = LENGTH + shard.header_size + end - shard.file_size
        if rows and lacking > 0:
            yield lacking, Amiss(Where(shard.path), f"the file lacks {lacking:,} bytes of its data")
