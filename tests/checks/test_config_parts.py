"""Parts that config.json promises, and itself."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_parts import CHECKS
from ckptscan.structure import describe
from tests.checks.looking import CONFIG, codes, found_in, llama
from tests.conftest import checkpoint_of

FILE = "model.safetensors"
DRAFTING = {
    f"model.layers.8.{name}.weight": ("BF16", [64]) for name in ("enorm", "hnorm", "eh_proj")
}


CASES = [
    pytest.param(llama(), {}, [], id="C002-plain"),
    pytest.param({**llama(), **DRAFTING}, {"num_nextn_predict_layers": 1}, [], id="C002-drafts"),
    pytest.param(llama(), {"num_nextn_predict_layers": 0}, [], id="C002-drafts-none"),
    pytest.param(llama(), {"num_nextn_predict_layers": 1}, ["C002 warning"], id="C002-lost"),
    pytest.param(
        {**llama(), **DRAFTING}, {"num_nextn_predict_layers": 0}, ["C002 warning"], id="C002-extra"
    ),
    pytest.param(llama(), {"torch_dtype": "bfloat16"}, [], id="C011-its-dtype"),
    pytest.param(llama(), {"torch_dtype": ["x"]}, [], id="C011-no-dtype"),
    pytest.param(llama(), {"torch_dtype": "float32"}, ["C011 warning"], id="C011-another-dtype"),
]


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_parts(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)


FILES = [
    pytest.param({"config.json": b"{}"}, [], id="C015-an-empty-one"),
    pytest.param({"params.json": b"{}"}, [], id="C015-Meta's"),
    pytest.param({}, ["C015 info"], id="C015-none"),
    pytest.param({"config.json": b"<html>"}, ["C015 info"], id="C015-no-JSON"),
]


@pytest.mark.parametrize(("files", "expected"), FILES)
def test_a_config_that_is_none_is_told(files: dict[str, bytes], expected: list[str]) -> None:
    found = found_in(CHECKS, describe(checkpoint_of({FILE: {"a": ("F32", [1])}, **files})))

    assert expected == [f"{one.code} {one.severity}" for one in found]


def test_a_config_that_is_no_json_is_named() -> None:
    files = {FILE: {"a": ("F32", [1])}, "config.json": b"<html>"}
    (found,) = found_in(CHECKS, describe(checkpoint_of(files)))

    assert ("C015", "config.json") == (found.code, found.where[0].file)
