"""Model types with their default configs and tensors, from fixtures/families/promises.json.gz."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from ckptscan.names import IndexSet, fill
from ckptscan.structure import Structure
from tests.conftest import FIXTURES, unheld

PROMISES = FIXTURES / "families" / "promises.json.gz"


class Model(NamedTuple):
    """One model type: its config and its tensors, all taken for F32."""

    name: str
    config: dict[str, Any]
    tensors: dict[str, tuple[str, list[int]]]

    @property
    def structure(self) -> Structure:
        """The structure of its checkpoint."""
        return unheld(self.tensors, config=self.config)

    @property
    def is_causal(self) -> bool:
        """Whether it is a plain language model."""
        return str(self.config["architectures"][0]).endswith(("ForCausalLM", "LMHeadModel"))


def models() -> Iterator[Model]:
    """Every model type of the fixture."""
    for name, config, patterns in json.loads(gzip.decompress(PROMISES.read_bytes())):
        tensors = {
            written: ("F32", shape)
            for pattern, indices, shape in patterns
            for written in _names(pattern, indices)
        }
        yield Model(name, config, tensors)


def _names(pattern: str, indices: list[Any]) -> Iterator[str]:
    if indices and isinstance(indices[0], list):
        axes = [IndexSet(())] * len(indices[0])
        yield from (fill(pattern, instance, axes) for instance in indices)
        return
    axes = [IndexSet.parse(axis) for axis in indices]
    yield from (fill(pattern, instance, axes) for instance in product(*axes))
