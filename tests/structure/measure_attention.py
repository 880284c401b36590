"""Measures attention on the model types of fixtures/families/attention.json.gz.

`python -m tests.structure.measure_attention` prints the misses.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import NamedTuple

from ckptscan.structure import Attention
from tests.conftest import FIXTURES, unheld

ATTENDS = frozenset({"MHA", "GQA", "MQA", "MLA"})


class Case(NamedTuple):
    """One model type: what its config says, the heads it has, what was found."""

    model: str
    heads: int
    kv_heads: int
    found: tuple[Attention, ...]

    @property
    def is_right(self) -> bool:
        """Whether a container has these heads, or their ratio where heads are unknown."""
        return any(
            (self.heads, self.kv_heads) == (one.heads, one.kv_heads)
            or (one.kind == "MLA" and one.heads == self.heads)
            or (one.heads is None and one.ratio == self.heads // self.kv_heads)
            for one in self.found
            if one.kind in ATTENDS
        )


def cases(with_config: bool) -> Iterator[Case]:
    """Every model type whose layers attend, with its config or without."""
    path = FIXTURES / "families" / "attention.json.gz"
    for model, (heads, kv_heads), said, shapes in json.loads(gzip.decompress(path.read_bytes())):
        tensors = {name: ("F32", shape) for name, shape in shapes.items()}
        structure = unheld(tensors, config=said) if with_config else unheld(tensors)
        yield Case(model, heads, kv_heads, structure.attention)


if __name__ == "__main__":
    for with_config in (False, True):
        measured = list(cases(with_config))
        wrong = [case for case in measured if not case.is_right]
        print(f"{len(measured) - len(wrong)} of {len(measured)} right, config: {with_config}")
        for case in wrong:
            print(f"  {case.model}: {case.heads} heads, {case.kv_heads} KV; {case.found}")
