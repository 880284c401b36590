"""What would be: a model stored in another format, served with adapters."""

from __future__ import annotations

from ckptscan.plan.whatif.fitting import fitted
from ckptscan.plan.whatif.recipe import Recipe, parse_recipe
from ckptscan.plan.whatif.requantize import requantized

__all__ = ["Recipe", "fitted", "parse_recipe", "requantized"]
