"""Tokens against the rows of the embedding."""

from __future__ import annotations

import json

import pytest

from ckptscan.checks.evidence.tokens import tokens_beyond
from ckptscan.config import read_config
from tests.checks.looking import lora
from tests.checks.making import audit_of
from tests.conftest import Tensors

# an embedding of 8 rows, and a tokenizer that just fits
SMALL: Tensors = {"model.embed_tokens.weight": ("F32", [8, 4]), "lm_head.weight": ("F32", [8, 4])}
WORDS = {f"w{number}": number for number in range(8)}


def bpe(words: object, *added: dict[str, object]) -> dict[str, object]:
    return {"added_tokens": added, "model": {"type": "BPE", "vocab": words, "merges": ["a b"]}}


def unigram(size: int) -> dict[str, object]:
    return {"model": {"type": "Unigram", "vocab": [[f"p{n}", -1.5] for n in range(size)]}}


PAD: dict[str, object] = {"id": 8, "content": "[PAD]"}
IMAGE: dict[str, object] = {"id": 8, "content": "<image_soft_token>"}
LATE = {"added_tokens_decoder": {"8": {"content": "[PAD]"}}}
ODD = {"added_tokens_decoder": {"x": 1, "-8": {"content": "a"}, "7": None, "9" * 40: {}}}


CASES = [
        pytest.param({}, [], id="C004-none"),
        pytest.param({"tokenizer.json": bpe(WORDS)}, [], id="C004-fits"),
        pytest.param({"tokenizer.json": bpe({"w0": 0, ":9": 1})}, [], id="C004-padding-rows"),
        pytest.param({"tokenizer.json": bpe(WORDS | {"w8": 8})}, ["C004 error 8"], id="C004-word"),
        pytest.param({"tokenizer.json": bpe(WORDS, PAD)}, ["C004 error 8"], id="C004-added"),
        pytest.param({"tokenizer.json": bpe(WORDS, IMAGE)}, ["C004 warning 8"], id="C004-of-an-image"),
        pytest.param({"tokenizer.json": bpe(WORDS | {"w8": 8}, IMAGE)}, ["C004 warning 8"], id="C004-twice"),
        pytest.param({"tokenizer.json": unigram(8)}, [], id="C004-pieces"),
        pytest.param({"tokenizer.json": unigram(9)}, ["C004 error 8"], id="C004-more-pieces"),
        pytest.param({"tokenizer.json": {"truncation": {"max_length": 512}} | bpe(WORDS)}, [],
                     id="C004-another-number"),
        pytest.param({"tokenizer.json": b'{"merges": [], "model": '}, [], id="C004-no-JSON"),
        pytest.param({"tokenizer.json": [1, 2]}, [], id="C004-no-object"),
        pytest.param({"tokenizer.json": bpe(None, {"id": True, "content": 9})}, [], id="C004-odd"),
        pytest.param({"vocab.json": WORDS}, [], id="C004-vocabulary-fits"),
        pytest.param({"vocab.json": WORDS | {"w8": 8}}, ["C004 error 8"], id="C004-vocabulary"),
        pytest.param({"added_tokens.json": {"<a>": 7}}, [], id="C004-added-before"),
        pytest.param({"added_tokens.json": {"<a>": 10}}, ["C004 error 10"], id="C004-added-after"),
        pytest.param({"tokenizer_config.json": LATE}, ["C004 error 8"], id="C004-decoder"),
        pytest.param({"tokenizer_config.json": ODD}, [], id="C004-odd-decoder"),
        pytest.param({"tekken.json": {"config": {"default_vocab_size": 8}}}, [], id="C004-tekken-fits"),
        pytest.param({"tekken.json": {"config": {"default_vocab_size": 9}}}, ["C004 error 8"],
                     id="C004-tekken"),
        # C004 of ids that configs name
        pytest.param({"config.json": {"pad_token_id": -1, "eos_token_id": [1, 7]}}, [],
                     id="C004-ids-fit"),
        pytest.param({"config.json": {"pad_token_id": 8}}, ["C004 error 8"], id="C004-padding"),
        pytest.param({"config.json": {"bos_token_id": 50256}}, ["C004 warning 50256"], id="C004-default"),
        pytest.param({"config.json": {"pad_token_id": 50256}}, ["C004 error 50256"], id="C004-meant"),
        pytest.param({"generation_config.json": {"eos_token_id": [1, 9]}}, ["C004 error 9"], id="C004-end"),
        pytest.param({"config.json": {"bos_token_id": 9},
                      "generation_config.json": {"bos_token_id": 1}}, [], id="C004-overruled"),
        pytest.param({"config.json": {"image_token_id": 9}}, [], id="C004-of-another-kind"),
    ]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), CASES)
def test_ids_have_rows(files: dict[str, object], expected: list[str]) -> None:
    held: dict[str, object] = {"model.safetensors": SMALL} | files
    done = audit_of(held, "C004")  # type: ignore[arg-type]

    assert () == done.crashed
    assert expected == [
        f"{one.code} {one.severity} {one.evidence['seen']}" for one in done.findings
    ]


def test_an_adapter_has_no_table() -> None:
    done = audit_of({"adapter_model.safetensors": lora(), "added_tokens.json": {"a": 9}}, "C004")

    assert () == done.findings


def test_what_may_be_an_id_is_looked_for_before_parsing() -> None:
    words = {f'odd":{number}': number for number in range(1000)}
    config = read_config({"tokenizer.json": json.dumps(bpe(words)).encode()})

    assert [] == tokens_beyond(config, 1000)
    assert [999] == [token.number for token in tokens_beyond(config, 999)]


def test_tokenizers_are_no_documents() -> None:
    config = read_config({"tokenizer.json": b"{}", "vocab.json": None, "config.json": b"{}"})

    assert (["tokenizer.json"], ["config.json"], {}) == (
        list(config.raw), list(config.documents), config.problems
    )  # fmt: skip


@pytest.mark.parametrize("odd", [None, True, -1, 2**70, 1e300, "x", "", [], [[]], {}, {"a": []}])
def test_odd_tokenizers_raise_nothing(odd: object) -> None:
    inner = {"model": odd, "added_tokens": odd, "added_tokens_decoder": odd, "vocab": odd, "x": 99}
    for document in (odd, inner, {"model": {"vocab": odd}}):
        files = {
            f"{name}.json": json.dumps(document).encode()
            for name in ("tokenizer", "vocab", "tekken", "added_tokens", "tokenizer_config")
        }

        assert () == audit_of({"model.safetensors": SMALL, **files}, "C004").crashed


def test_numbers_of_absurd_length_raise_nothing() -> None:
    for text in (
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"model":{"vocab":' + b"[" * 90_000,
        b"\xff:9999",
    ):
        config = read_config(dict.fromkeys(("tokenizer.json", "vocab.json", "tekken.json"), text))

        assert [] == tokens_beyond(config, 8)
