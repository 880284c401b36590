"""Locks of files in memory, and audits against them."""

from __future__ import annotations

from collections.abc import Mapping

from ckptscan.checks import Audit, Given, audit
from ckptscan.lock import Compared, Lock, open_for_lock
from tests.conftest import Tensors, source_of

Files = Mapping[str, bytes | Tensors]


def locked(files: Files) -> Lock:
    """The lock of these files."""
    return open_for_lock(source_of(files))[1]


def audit_against(then: Files, now: Files, *select: str) -> Audit:
    """The audit of files against the lock of what they were."""
    checkpoint, lock = open_for_lock(source_of(now))
    given = Given(lock=Compared(locked(then), lock))
    return audit(checkpoint, select or ["L"], given=given)


def codes_against(then: Files, now: Files) -> list[str]:
    """What is found, by code."""
    done = audit_against(then, now)

    assert () == done.crashed
    return sorted({finding.code for finding in done.findings})
