"""config.json's figures against the shapes."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_sizes import CHECKS
from tests.checks.looking import CONFIG, codes, llama


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({}, [], id="right"),
        pytest.param({"intermediate_size": 512}, ["C005 warning"], id="twice the rows"),
        pytest.param({"num_hidden_layers": 7, "num_nextn_predict_layers": 1}, [], id="MTP"),
        pytest.param({"num_hidden_layers": 16, "num_hidden_groups": 8}, [], id="ALBERT"),
        pytest.param({"vocab_size": 1000}, ["C003 info"], id="padded"),
        pytest.param({"num_hidden_layers": 9}, ["C001 error"], id="a layer is missing"),
        pytest.param({"num_hidden_layers": 6}, ["C001 error", "S012 info"], id="two too many"),
        pytest.param({"vocab_size": 1025}, ["C003 error"], id="a row is missing"),
        pytest.param({"hidden_size": 128}, ["C005 error"], id="hidden"),
        pytest.param({"intermediate_size": 300}, ["C005 error"], id="width"),
        pytest.param({"num_attention_heads": 7}, ["C005 error"], id="heads"),
        pytest.param({"num_key_value_heads": 4}, ["C005 error"], id="KV heads"),
        pytest.param({"head_dim": 16}, ["C005 error"], id="head_dim"),
        pytest.param(
            {"num_hidden_layers": 9, "architectures": ["LlamaModel"]},
            ["C001 warning"],
            id="encoder",
        ),
    ],
)
def test_figures(said: dict[str, object], expected: list[str]) -> None:
    assert expected == codes(CHECKS, llama(), config=CONFIG | said)


@pytest.mark.parametrize("odd", ["8", 8.0, -1, [], {}, None, True, 10**30])
@pytest.mark.parametrize("key", ["num_hidden_layers", "vocab_size", "num_attention_heads"])
def test_what_is_no_figure_is_no_witness(key: str, odd: object) -> None:
    assert [] == codes(CHECKS, llama(), config=CONFIG | {key: odd})


def test_qwen_declares_twice_the_rows() -> None:
    names = {"gate_proj": "w1", "up_proj": "w2", "down_proj": "c_proj"}
    qwen = {
        ".".join(names.get(part, part) for part in name.split(".")): kind
        for name, kind in llama().items()
    }

    assert [] == codes(CHECKS, qwen, config=CONFIG | {"intermediate_size": 512})
