"""Model types with their default configs and tensors, from fixtures/families/models.json.gz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ckptscan.structure import Structure
from fixtures.models import rows, unpacked
from tests.conftest import unheld


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


def models(some: slice = slice(None)) -> Iterator[Model]:
    """The model types of the fixture, or some of them."""
    for name, class_, config, stored, _ in rows()[some]:
        tensors = {one: ("F32", shape) for one, shape in unpacked(stored).items()}
        yield Model(name, config | {"architectures": [class_]}, tensors)
