"""V001, V008: what is no number; the ends of F16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.checks.looking import float8, gptq, llama, lora, mixture
from tests.content.making import Arrays, changed, found, stored, weights

NAME = "model.layers.3.mlp.up_proj.weight"
F16 = {name: ("F16", shape) for name, (_, shape) in llama().items()}


def planted(dtype: str, *values: float) -> Arrays:
    """A model with these numbers in one weight."""
    arrays = weights({name: (dtype, shape) for name, (_, shape) in llama().items()})
    array = np.random.default_rng(0).standard_normal((256, 64)) * 0.02
    array.reshape(-1)[7 : 7 + len(values)] = values
    return changed(arrays, {NAME: stored(dtype, array)})


def with_mask(name: str, value: float) -> Arrays:
    mask = np.where(np.tri(64, dtype=bool), 0, value)
    return weights(llama()) | {name: ("F32", stored("F32", mask))}


CASES = [
    pytest.param(weights(llama()), [], id="V001-a-sound-model"),
    pytest.param(weights(mixture()), [], id="V001-a-mixture"),
    pytest.param(weights(float8(llama())), [], id="V001-FP8-with-scales"),
    pytest.param(weights(gptq(llama())), [], id="V001-GPTQ"),
    pytest.param(weights(lora()), [], id="V001-an-adapter-at-its-beginning"),
    pytest.param(weights(F16), [], id="V008-F16"),
    pytest.param(with_mask("model.layers.0.self_attn.masked_bias", -np.inf), [], id="V001-a-mask"),
    pytest.param(with_mask("model.layers.0.self_attn.attn_mask", np.nan), ["V001 warning"], id="V001-NaN-in-it"),
    pytest.param(planted("BF16", np.nan), ["V001 error"], id="V001-NaN"),
    pytest.param(planted("F16", np.inf), ["V001 error"], id="V001-infinity"),
    pytest.param(planted("F32", -np.inf), ["V001 error"], id="V001-negative-infinity"),
    pytest.param(planted("F32", 3e38), [], id="V001-large-and-finite"),
    pytest.param(planted("F16", 65472), [], id="V008-nearly-at-the-end"),
    pytest.param(planted("F16", 65504, -65504), ["V008 warning"], id="V008-at-the-end"),
    pytest.param(
        changed(weights(F16), {NAME: stored("F16", np.full((256, 64), 1e-6))}),
        ["V008 warning"],
        id="V008-too-small",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V001", "V008")


@pytest.mark.slow
@given(st.data())
def test_a_nan_is_found_wherever_it_lies(data: st.DataObject) -> None:
    arrays: dict[str, Any] = weights(llama(range(2)))
    name = data.draw(st.sampled_from(sorted(arrays)))
    dtype, array = arrays[name]
    array = array.copy()
    place = data.draw(st.integers(0, array.size - 1))
    array.reshape(-1)[place] = 0x7FC1

    assert ["V001 error"] == found(arrays | {name: (dtype, array)}, "V001")
