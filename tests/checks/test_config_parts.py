"""Parts that config.json promises, and itself."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_parts import CHECKS
from tests.checks.looking import CONFIG, codes, found_in, llama
from tests.conftest import checkpoint_of

DRAFTING = {
    f"model.layers.8.{name}.weight": ("BF16", [64]) for name in ("enorm", "hnorm", "eh_proj")
}


@pytest.mark.parametrize(
    ("tensors", "said", "expected"),
    [
        pytest.param(llama(), {}, [], id="plain"),
        pytest.param({**llama(), **DRAFTING}, {"num_nextn_predict_layers": 1}, [], id="drafts"),
        pytest.param(llama(), {"num_nextn_predict_layers": 0}, [], id="drafts none"),
        pytest.param(llama(), {"num_nextn_predict_layers": 1}, ["C002 warning"], id="lost"),
        pytest.param(
            {**llama(), **DRAFTING}, {"num_nextn_predict_layers": 0}, ["C002 warning"], id="extra"
        ),
        pytest.param(llama(), {"torch_dtype": "bfloat16"}, [], id="its dtype"),
        pytest.param(llama(), {"torch_dtype": ["x"]}, [], id="no dtype"),
        pytest.param(llama(), {"torch_dtype": "float32"}, ["C011 warning"], id="another dtype"),
    ],
)
def test_parts(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)


def test_without_a_config_that_is_said() -> None:
    assert ["C015 info"] == codes(CHECKS, llama())


def test_a_config_that_is_no_json_is_named() -> None:
    from ckptscan.structure import describe

    files = {"model.safetensors": {"a": ("F32", [1])}, "config.json": b"<html>"}
    (found,) = found_in(CHECKS, describe(checkpoint_of(files)))

    assert ("C015", "config.json") == (found.code, found.where[0].file)
