"""Two checkpoints -> Diff: what became of each tensor, of settings and files, and on what evidence.

`compare` asks headers, sizes and digests that are known for free, and reads no byte of a tensor;
`compare_tensors` reads as much of them as is wished for.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from ckptscan.diff.contents import compare_tensors

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
    "compare_tensors",
]


def __getattr__(name: str) -> Any:
    if name != "compare_tensors":
        raise AttributeError(f"module 'ckptscan.diff' has no attribute {name!r}")
    from ckptscan.diff.contents import compare_tensors

    return compare_tensors


class _Room(ModuleType):
    """A module that can be called: `ckptscan.diff(a, b)`, and `ckptscan.diff.Diff`."""

    def __call__(self, *arguments: Any, **options: Any) -> Diff:
        """See `compare`."""
        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _Room
