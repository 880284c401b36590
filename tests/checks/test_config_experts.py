"""config.json's experts against those that are there."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_experts import CHECKS
from tests.checks.looking import CONFIG, codes, llama, mixture

SPARSE = CONFIG | {"num_experts": 8, "num_experts_per_tok": 2}


CASES = [
    pytest.param(mixture(), {}, [], id="C006-right"),
    pytest.param(llama(), {"num_experts": 1}, [], id="C006-dense"),
    pytest.param(mixture(), {"num_experts_per_tok": 8}, [], id="C007-all-of-them"),
    pytest.param(mixture(), {"num_experts": 16}, ["C006 error"], id="C006-pruned"),
    pytest.param(llama(), {"is_moe": False}, [], id="C006-built-dense"),
    pytest.param(
        mixture(),
        {"num_experts": 4, "moe_intermediate_size": [32, 16]},
        [],
        id="C006-of-two-widths",
    ),
    pytest.param(llama(), {}, ["C006 warning"], id="C006-none-there"),
    pytest.param(mixture(), {"num_experts_per_tok": 9}, ["C007 error"], id="C007-top-k"),
]


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_experts(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=SPARSE | said)
