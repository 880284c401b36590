"""What a project's settings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckptscan.checks.allowing import Allow
    from ckptscan.checks.policy import Rule


@dataclass(frozen=True)
class Settings:
    """Which checks, what fails, what is allowed and what is asserted.

    `path` is the file that says so, "" where none does; `baseline` is beside it.
    """

    path: str = ""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str | None = None
    baseline: str | None = None
    allow: tuple[Allow, ...] = ()
    policy: tuple[Rule, ...] = ()
