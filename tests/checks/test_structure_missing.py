"""A language model without its ends."""

from __future__ import annotations

import pytest

from ckptscan.checks.structure_missing import CHECKS
from tests.checks.looking import CONFIG, codes, llama, without

CASES = [
    pytest.param(llama(), CONFIG, [], id="S009-whole"),
    pytest.param(without(llama(), "lm_head"), CONFIG, [], id="S009-C009's"),
    pytest.param(without(llama(), "model.norm"), {"model_type": "vit"}, [], id="S009-no-class"),
    pytest.param(without(llama(), "layernorm", "model.norm"), CONFIG, [], id="S009-no-norms"),
    pytest.param(without(llama(), "model.norm"), CONFIG, ["S009 warning"], id="S009-norm"),
    pytest.param(without(llama(), "embed_tokens"), CONFIG, ["S009 warning"], id="S009-embedding"),
]


@pytest.mark.parametrize(("tensors", "config", "expected"), CASES)
def test_ends(
    tensors: dict[str, tuple[str, list[int]]], config: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=config)
