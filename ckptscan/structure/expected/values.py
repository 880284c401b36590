"""What a config promises of a checkpoint, and what of it is kept."""

from __future__ import annotations

from typing import NamedTuple

from ckptscan.names import IndexSet

MISSING, BEYOND, SHAPE = "missing", "beyond", "shape"
# what a promise is about: whole layers, experts of a layer, tensors of some layers, a part that
# all layers lack
LAYERS, EXPERTS, TENSORS, BLOCKS = "layers", "experts", "tensors", "blocks"
# roles without which a block computes nothing
PROJECTIONS = frozenset(
    "q k v o qkv kv q_a q_b kv_a kv_b gate up down gate_up router expert.gate expert.up "
    "expert.down expert.gate_up shared_expert.gate shared_expert.up shared_expert.down".split()
)


class Broken(NamedTuple):
    """A promise that is not kept: tensors that are missing, beyond what is promised, mis-shaped.

    `axes` has one set for each star of the pattern, `tensors` are so many. `formula` says what
    the config makes of it, `expected` and `seen` are shapes or counts in words. `is_grave` where a
    model can't compute without it, and the config surely speaks of it.
    """

    what: str
    topic: str
    container: str
    role: str
    pattern: str
    axes: tuple[IndexSet, ...]
    tensors: int
    formula: str
    expected: str
    seen: str
    is_grave: bool = False


class Expected(NamedTuple):
    """The tensors that a config promises, and those that are there.

    `promised` counts those whose place follows from the config, given which modules a layer has;
    `kept` those of them that are there. `shaped` counts tensors whose shape is what a formula of
    the config's figures gives, `shaped_bytes` their bytes, of `tensors` and `nbytes` in all.
    `reason` says why nothing can be told, where nothing can.
    """

    tensors: int
    nbytes: int
    promised: int = 0
    kept: int = 0
    shaped: int = 0
    shaped_bytes: int = 0
    broken: tuple[Broken, ...] = ()
    reason: str = ""
