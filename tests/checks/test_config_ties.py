"""Whether head and embedding are what the tie flag says."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_ties import CHECKS
from tests.checks.looking import CONFIG, codes, llama, without

TIED = {"tie_word_embeddings": True}
BARE = without(llama(), "lm_head")
TEXT = {"text_config": {"tie_word_embeddings": True, "vocab_size": 1024}}


CASES = [
    pytest.param(llama(), {}, [], id="C008-untied"),
    pytest.param(BARE, TIED, [], id="C009-tied"),
    pytest.param(BARE, {"architectures": ["LlamaModel"]}, [], id="C009-needs-no-head"),
    pytest.param(BARE, {"tie_word_embeddings": None, "model_type": "gemma2"}, [], id="C009-Gemma"),
    pytest.param(BARE, {"tie_word_embeddings": None}, ["C009 warning"], id="C009-Llama's-default"),
    pytest.param(BARE, {}, ["C009 error"], id="C009-no-head"),
    pytest.param(
        BARE,
        TIED | {"text_config": {"tie_word_embeddings": False}},
        ["C009 warning", "C010 warning"],
        id="C009-tied-at-the-top",
    ),
    pytest.param(llama(), TIED, ["C008 warning"], id="C008-stored-twice"),
    pytest.param(
        {**llama(), "lm_head.weight": ("BF16", [1025, 64])}, TIED, ["C008 error"], id="C008-resized"
    ),
    pytest.param(
        {**llama(), "model.embed_tokens.weight": ("BF16", [1056, 64])},
        TIED,
        ["C008 warning"],
        id="C008-the-head-is-described",
    ),
    pytest.param(BARE, TIED | TEXT, [], id="C010-nested-alike"),
    pytest.param(BARE, TEXT, ["C010 warning"], id="C010-nested-unlike"),
]


@pytest.mark.parametrize(("tensors", "said", "expected"), CASES)
def test_ties(
    tensors: dict[str, tuple[str, list[int]]], said: dict[str, object], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, tensors, config=CONFIG | said)
