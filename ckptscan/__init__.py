"""Know a checkpoint before you load it.

    >>> from ckptscan import describe, open_checkpoint
    >>> checkpoint = open_checkpoint("Qwen2-57B-A14B-Instruct/")
    >>> checkpoint.numel, len(checkpoint.table), checkpoint.nbytes
    (57408658944, 5771, 114817317888)
    >>> describe(checkpoint).families[0].pattern
    'lm_head.weight'

Everything here is imported on first use, so that `import ckptscan` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ckptscan.version import VERSION as __version__

if TYPE_CHECKING:
    from ckptscan.checkpoint import Checkpoint, open_checkpoint
    from ckptscan.checks import Audit, Finding, Given, audit
    from ckptscan.content import Content, peek_content, read_content
    from ckptscan.diff import Change, Diff
    from ckptscan.diff import compare as diff
    from ckptscan.dtypes import DType
    from ckptscan.errors import CkptscanError
    from ckptscan.hardware import parse_devices
    from ckptscan.header import Fault, Header, parse_header
    from ckptscan.names import IndexSet
    from ckptscan.plan import Ask, MemoryPlan, Parallel, plan
    from ckptscan.sources import Access
    from ckptscan.sources.objects import Store
    from ckptscan.structure import Family, Layers, Node, Structure, describe
    from ckptscan.table import Shard, Tensor, TensorTable
    from ckptscan.verify import Probe, Verification, Wish, verify

# public name -> the module it lives in
_HOMES = {
    "Access": "sources",
    "Ask": "plan",
    "Audit": "checks",
    "Change": "diff",
    "Checkpoint": "checkpoint",
    "CkptscanError": "errors",
    "Content": "content",
    "DType": "dtypes",
    "Diff": "diff",
    "Family": "structure",
    "Fault": "header",
    "Finding": "checks",
    "Given": "checks",
    "Header": "header",
    "IndexSet": "names",
    "Layers": "structure",
    "MemoryPlan": "plan",
    "Node": "structure",
    "Parallel": "plan",
    "Probe": "verify",
    "Shard": "table",
    "Store": "sources.objects",
    "Structure": "structure",
    "Tensor": "table",
    "TensorTable": "table",
    "Verification": "verify",
    "Wish": "verify",
    "audit": "checks",
    "describe": "structure",
    "diff": "",
    "open_checkpoint": "checkpoint",
    "parse_devices": "hardware",
    "parse_header": "header",
    "peek_content": "content",
    "plan": "plan",
    "read_content": "content",
    "verify": "",
}

# room -> what of it a notebook shows as HTML
_SHOWN = {"checkpoint": "Checkpoint", "structure": "Structure", "plan": "MemoryPlan"}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ckptscan' has no attribute {name!r}")
    if not _HOMES[name]:  # a room of that name, which can be called
        return import_module(f"ckptscan.{name}")
    home = import_module(f"ckptscan.{_HOMES[name]}")
    if _HOMES[name] in _SHOWN:
        getattr(home, _SHOWN[_HOMES[name]])._repr_html_ = _html
    return getattr(home, name)


def _html(value: Any) -> str:
    """What a notebook shows of a value: here, so that no value knows of a report."""
    from ckptscan.report.jupyter import html

    return html(value)


def __dir__() -> list[str]:
    return sorted(__all__)
