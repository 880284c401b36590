"""Tensor bytes, only when asked: ranges -> blocks -> statistics and digests.

Imported on first use: an audit that reads no tensor knows the values alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckptscan.content.values import Content, RowUse, Sample, Statistics, Wish

if TYPE_CHECKING:
    from ckptscan.content.peeking import peek_content
    from ckptscan.content.reading import Progress, read_content

_HOMES = {"Progress": "reading", "peek_content": "peeking", "read_content": "reading"}

__all__ = [
    "Content",
    "Progress",
    "RowUse",
    "Sample",
    "Statistics",
    "Wish",
    "peek_content",
    "read_content",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ckptscan.content' has no attribute {name!r}")
    return getattr(import_module(f"ckptscan.content.{_HOMES[name]}"), name)
