"""transformers 4 with `device_map="auto"`, which asks accelerate.

Sources: accelerate 1.15, utils/modeling.py: get_balanced_memory takes the first layer and the mean
of modules for what an even share is stretched by.
"""

from collections.abc import Sequence

from ckptscan.plan.devicemap import Block
from ckptscan.plan.engines.transformers import Transformers
from ckptscan.plan.model import Model
from ckptscan.plan.values import Ask


def first_part(blocks: Sequence[Block], model: Model, ask: Ask) -> int:
    """The first layer, or the mean of modules that hold parameters."""
    modules = sum(times for _, times in model.inventory.everything())
    first = next((block.nbytes for block in blocks if block.layer is not None), 0)
    return max(first, sum(block.nbytes for block in blocks) // max(1, modules))


ENGINE = Transformers(
    name="transformers-4",
    covers="4.5x, device_map auto",
    since=(4, 0),
    before=(5, 0),
    part=first_part,
)
