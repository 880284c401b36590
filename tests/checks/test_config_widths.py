"""config.json's widths and heads against the shapes."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_widths import CHECKS
from tests.checks.looking import CONFIG, codes, llama

INNER = {"text_config": {key: CONFIG[key] for key in CONFIG if key != "architectures"}}
NARROW = {"hidden_size": 128, "true_hidden_size": 64, "architectures": ["MobileBertModel"]}
CASES = [
    pytest.param({}, [], id="C005-right"),
    pytest.param({"intermediate_size": 512}, ["C005 warning"], id="C005-twice-the-rows"),
    pytest.param({"head_dim": 80, **INNER}, [], id="C005-another-section's-head_dim"),
    pytest.param(NARROW, [], id="C005-a-bottleneck"),
    pytest.param({"hidden_size": 128}, ["C005 error"], id="C005-hidden"),
    pytest.param({"intermediate_size": 300}, ["C005 error"], id="C005-width"),
    pytest.param({"num_attention_heads": 7}, ["C005 error"], id="C005-heads"),
    pytest.param({"num_key_value_heads": 4}, ["C005 error"], id="C005-KV-heads"),
    pytest.param({"head_dim": 16}, ["C005 error"], id="C005-head_dim"),
]


@pytest.mark.parametrize(("said", "expected"), CASES)
def test_figures(said: dict[str, object], expected: list[str]) -> None:
    assert expected == codes(CHECKS, llama(), config=CONFIG | said)


def test_qwen_declares_twice_the_rows() -> None:
    names = {"gate_proj": "w1", "up_proj": "w2", "down_proj": "c_proj"}
    qwen = {
        ".".join(names.get(part, part) for part in name.split(".")): kind
        for name, kind in llama().items()
    }

    assert [] == codes(CHECKS, qwen, config=CONFIG | {"intermediate_size": 512})


def test_a_class_that_halves_its_width_is_known() -> None:
    said = {"intermediate_size": 512, "model_type": "recurrent_gemma"}

    assert [] == codes(CHECKS, llama(), config=CONFIG | said)


@pytest.mark.parametrize("odd", ["8", 8.0, -1, [], {}, None, True, 10**30])
@pytest.mark.parametrize("key", ["hidden_size", "num_attention_heads", "head_dim"])
def test_what_is_no_figure_is_no_witness(key: str, odd: object) -> None:
    assert [] == codes(CHECKS, llama(), config=CONFIG | {key: odd})
