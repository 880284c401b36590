"""Two checkpoints -> Diff: what became of each tensor, of settings and files, and on what evidence.

Headers, sizes and digests that are known for free; no byte of a tensor is read here.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ckptscan.diff.comparing import compare
from ckptscan.diff.settings import BESIDE
from ckptscan.diff.values import (
    KINDS,
    Change,
    Diff,
    Evidence,
    Fact,
    FileChange,
    LayerChange,
    Setting,
    Verdict,
)

__all__ = [
    "BESIDE",
    "KINDS",
    "Change",
    "Diff",
    "Evidence",
    "Fact",
    "FileChange",
    "LayerChange",
    "Setting",
    "Verdict",
    "compare",
]


class _Room(ModuleType):
    """A module that can be called: `ckptscan.diff(a, b)`, and `ckptscan.diff.Diff`."""

    def __call__(self, *arguments: Any, **options: Any) -> Diff:
        """See `compare`."""
        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _Room
