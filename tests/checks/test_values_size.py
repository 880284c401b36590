"""V007."""

from __future__ import annotations

import numpy as np
import pytest

from tests.checks.looking import float8, llama, mixture
from tests.content.making import Arrays, changed, found, stored, weights

UP = "model.layers.3.mlp.up_proj.weight"
DRAW = np.random.default_rng(1).standard_normal((256, 64))


def sized(std: float) -> Arrays:
    return changed(weights(llama()), {UP: stored("BF16", DRAW * std)})


def read_raw() -> Arrays:
    array = DRAW * 100
    array[0, 0] = 448
    return changed(weights(llama()), {UP: stored("BF16", np.clip(array, -448, 448))})


CASES = [
    pytest.param(weights(llama()), [], id="V007-sound"),
    pytest.param(weights(mixture()), [], id="V007-a-mixture"),
    pytest.param(weights(float8(llama())), [], id="V007-FP8"),
    pytest.param(sized(0.1), [], id="V007-five-times"),
    pytest.param(
        changed(weights(llama(range(4))), {UP: stored("BF16", DRAW * 4)}), [], id="V007-few"
    ),
    pytest.param(sized(0.5), ["V007 warning"], id="V007-larger"),
    pytest.param(sized(0.001), ["V007 warning"], id="V007-smaller"),
    pytest.param(read_raw(), ["V007 warning"], id="V007-FP8-without-its-scale"),
]


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V007")
