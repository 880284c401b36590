"""A few tensors loaded onto a device, and what headers and plan promise held against them."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ckptscan.verify.values import Pick, Probe, Verification, Wish

if TYPE_CHECKING:
    from ckptscan.verify.verifying import verify

__all__ = ["Pick", "Probe", "Verification", "Wish", "verify"]


def __getattr__(name: str) -> Any:
    if name != "verify":
        raise AttributeError(f"module 'ckptscan.verify' has no attribute {name!r}")
    from ckptscan.verify.verifying import verify

    return verify


class _Room(ModuleType):
    """Python binds a subpackage over a name of its parent: so `ckptscan.verify` may be called."""

    def __call__(self, *arguments: Any, **options: Any) -> Verification:
        """See `verifying.verify`."""
        from ckptscan.verify.verifying import verify

        return verify(*arguments, **options)


sys.modules[__name__].__class__ = _Room
