"""V006."""

from __future__ import annotations

import numpy as np
import pytest

from ckptscan.checks import Given, audit
from ckptscan.content import peek_content
from tests.checks.looking import float8, gptq, llama
from tests.content.making import (
    Arrays,
    changed,
    found,
    raw_file,
    source_of,
    stored,
    structure_of,
    told,
    weights,
)

FP8 = weights(float8(llama()))
SCALE = "model.layers.3.mlp.up_proj.weight_scale"
GPTQ_SCALES = "model.layers.3.mlp.up_proj.scales"


def scaled(value: float, rows: int = 256) -> Arrays:
    """A scale of which the first rows have this value."""
    array = np.full((256, 1), 0.01)
    array[:rows] = value
    return changed(FP8, {SCALE: stored("BF16", array)})


def pruned() -> Arrays:
    weight = SCALE.removesuffix("_scale")
    return scaled(0) | {weight: ("F8_E4M3", np.zeros((256, 64), "u1"))}


MLX = weights(gptq(llama()))
CASES = [
    pytest.param(FP8, [], id="V006-sound"),
    pytest.param(weights(gptq(llama())), [], id="V006-GPTQ"),
    pytest.param(scaled(1e-30), [], id="V006-small"),
    pytest.param(
        changed(MLX, {GPTQ_SCALES: -MLX[GPTQ_SCALES][1].view("<f2")}), [], id="V006-negative-as-MLX-has-them"
    ),
    pytest.param(scaled(0), ["V006 error"], id="V006-zero"),
    pytest.param(scaled(0, 5), ["V006 warning"], id="V006-zero-in-places"),
    pytest.param(pruned(), ["V006 warning"], id="V006-zero-for-a-weight-of-zeros"),
    pytest.param(scaled(-1, 5), ["V006 error"], id="V006-negative"),
    pytest.param(scaled(np.nan, 1), ["V006 error"], id="V006-NaN"),
    pytest.param(scaled(np.inf, 1), ["V006 error"], id="V006-infinite"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V006")


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        pytest.param(FP8, [], id="sound"),
        pytest.param(scaled(0), ["V006 error"], id="zero"),
        pytest.param(scaled(np.nan, 1), ["V006 error"], id="NaN"),
    ],
)
def test_a_peek_is_enough_for_small_ones(arrays: Arrays, expected: list[str]) -> None:
    source = source_of(raw_file(arrays))
    structure = structure_of(source)
    source.ranges.clear()
    peeked = peek_content(source, structure)
    done = audit(structure, ["V"], given=Given(peeked=peeked))

    assert expected == told(done.findings)
    assert 4 << 20 > sum(length for _, _, length in source.ranges)
