"""H012."""

from __future__ import annotations

import pytest

from ckptscan.checks import Where
from tests.checks.making import findings_of
from tests.conftest import Tensors

CASES = [
    pytest.param({"w": ("F32", [])}, 0, id="H012-scalar"),
    pytest.param({"w": ("F32", [1])}, 0, id="H012-one"),
    pytest.param({"w": ("F32", [0])}, 1, id="H012-none"),
    pytest.param({"w": ("F32", [4, 0, 2])}, 1, id="H012-inner"),
]


@pytest.mark.parametrize(("tensors", "count"), CASES)
def test_what_is_found(tensors: Tensors, count: int) -> None:
    assert count == len(findings_of({"model.safetensors": tensors}, "H012"))


def test_layers_are_one_finding() -> None:
    tensors = {f"layers.{n}.up.weight": ("F32", [0]) for n in range(5)}
    (found,) = findings_of({"model.safetensors": {**tensors, "norm": ("F32", [2])}}, "H012")

    assert (Where(None, None, "layers.*.up.weight", ("0-4",), 5),) == found.where
    assert "5 of 6" in found.message
