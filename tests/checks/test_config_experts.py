"""config.json's experts against those that are there."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_experts import CHECKS
from tests.checks.looking import CONFIG, codes, llama, mixture

SPARSE = CONFIG | {"num_experts": 8, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("tensors", "said", "expected"),
    [
        pytest.param(mixture(), {}, [], id="right"),
        pytest.param(llama(), {"num_experts": 1}, [], id="dense"),
        pytest.param(mixture(), {"num_experts_per_tok": 8}, [], id="all of them"),
        pytest.param(mixture(), {"num_experts": 16}, ["C006 error"], id="pruned"),
        pytest.param(llama(), {}, ["C006 warning"], id="none there"),
        pytest.param(mixture(), {"num_experts_per_tok": 9}, ["C007 error"], id="top-k"),
    ],
)
def test_experts(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=SPARSE | said)
