"""Whether head and embedding are what the tie flag says."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_ties import CHECKS
from tests.checks.looking import CONFIG, codes, llama, without

TIED = {"tie_word_embeddings": True}
BARE = without(llama(), "lm_head")
TEXT = {"text_config": {"tie_word_embeddings": True, "vocab_size": 1024}}


@pytest.mark.parametrize(
    ("tensors", "said", "expected"),
    [
        pytest.param(llama(), {}, [], id="untied"),
        pytest.param(BARE, TIED, [], id="tied"),
        pytest.param(BARE, {"architectures": ["LlamaModel"]}, [], id="needs no head"),
        pytest.param(BARE, {"tie_word_embeddings": None, "model_type": "gemma2"}, [], id="Gemma"),
        pytest.param(BARE, {"tie_word_embeddings": None}, ["C009 warning"], id="Llama's default"),
        pytest.param(BARE, {}, ["C009 error"], id="no head"),
        pytest.param(llama(), TIED, ["C008 warning"], id="stored twice"),
        pytest.param(
            {**llama(), "lm_head.weight": ("BF16", [1025, 64])},
            TIED,
            ["C008 warning"],
            id="resized",
        ),
        pytest.param(
            {**llama(), "lm_head.weight": ("BF16", [1024, 32])}, TIED, ["C008 error"], id="narrower"
        ),
        pytest.param(BARE, TIED | TEXT, [], id="nested alike"),
        pytest.param(BARE, TEXT, ["C010 warning"], id="nested unlike"),
    ],
)
def test_ties(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)
