"""The memory that training takes: model states, activations, by published formulas."""

from __future__ import annotations

from ckptscan.plan.training.deployment import train

__all__ = ["train"]
