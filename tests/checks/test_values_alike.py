"""V004, V010; and what E002, C008, A007 and H003 say of content."""

from __future__ import annotations

import numpy as np
import pytest

from ckptscan.checks import Given, audit
from ckptscan.content import Content, peek_content
from ckptscan.structure import Structure
from tests.checks.looking import ADAPTER, CONFIG, llama, lora, mixture
from tests.content.making import (
    Arrays,
    audit_of,
    changed,
    found,
    raw_file,
    source_of,
    stored,
    structure_of,
    told,
    weights,
)


def copied(arrays: Arrays, before: str, after: str) -> Arrays:
    """The same with all tensors below one name also below another."""
    held = {name: one for name, one in arrays.items() if name.startswith(after)}
    return arrays | {name: arrays[before + name[len(after) :]] for name in held}


LLAMA, MIXTURE = weights(llama()), weights(mixture())
LAYERS = copied(LLAMA, "model.layers.2.", "model.layers.5.")
EXPERTS = "model.layers.3.mlp.experts"
UP = "model.layers.{}.mlp.up_proj.weight"
ONE_MATRIX = changed(LLAMA, {UP.format(2): LLAMA[UP.format(4)][1]})
CASES = [
    pytest.param(LLAMA, [], id="V004-sound"),
    pytest.param(MIXTURE, [], id="V004-a-mixture"),
    pytest.param(weights(lora()), [], id="V004-an-adapter-at-its-beginning"),
    pytest.param(copied(LLAMA, "lm_head", "model.embed_tokens"), [], id="V004-a-tied-head"),
    pytest.param(LAYERS, ["V004 warning"], id="V004-layers"),
    pytest.param(copied(MIXTURE, f"{EXPERTS}.1.", f"{EXPERTS}.6."), ["V004 warning"], id="V004-experts"),
    pytest.param(ONE_MATRIX, ["V004 info"], id="V004-a-matrix"),
]  # fmt: skip


@pytest.mark.parametrize(("arrays", "expected"), CASES)
def test_what_is_found(arrays: Arrays, expected: list[str]) -> None:
    assert expected == found(arrays, "V004")


def test_the_parts_are_named() -> None:
    (layers,) = audit_of(LAYERS, "V004").findings
    arrays = copied(MIXTURE, f"{EXPERTS}.1.", f"{EXPERTS}.6.")
    (experts,) = audit_of(arrays, "V004").findings

    assert ("model.layers.*", ("2,5",)) == (layers.where[0].pattern, layers.where[0].indices)
    assert (f"{EXPERTS}.*", ("1,6",)) == (experts.where[0].pattern, experts.where[0].indices)


BASES = [
        pytest.param("ab" * 32, "ab" * 32, ["V010 info"], id="V010-the-same"),
        pytest.param("ab" * 32, "cd" * 32, [], id="V010-others"),
        pytest.param(None, None, [], id="V010-not-known"),
    ]  # fmt: skip


@pytest.mark.parametrize(("mine", "theirs", "expected"), BASES)
def test_a_model_that_is_its_base(
    mine: str | None, theirs: str | None, expected: list[str]
) -> None:
    model, base = (structure_of(source_of(raw_file(LLAMA), one)) for one in (mine, theirs))

    assert expected == told(audit(model, ["V010"], given=Given(base=base)).findings)


def read(arrays: Arrays, is_peek: bool, **files: object) -> tuple[Structure, Content]:
    from ckptscan.content import read_content

    source = source_of(raw_file(arrays), **files)
    structure = structure_of(source)
    made = peek_content(source, structure) if is_peek else read_content(source, structure)
    return structure, made


TIED = CONFIG | {"tie_word_embeddings": True}


@pytest.mark.parametrize("is_peek", [True, False])
@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        pytest.param(LLAMA, ["C008 error"], id="another head"),
        pytest.param(
            copied(LLAMA, "lm_head", "model.embed_tokens"), ["C008 warning", "E002 info"], id="the same"
        ),
    ],
)  # fmt: skip
def test_a_tied_head_that_is_stored(arrays: Arrays, expected: list[str], is_peek: bool) -> None:
    structure, content = read(arrays, is_peek, config=TIED)
    done = audit(structure, ["C008", "E002"], given=Given(peeked=content))

    assert expected == told(done.findings)


def test_a_tied_head_of_another_dtype_holds_other_bytes() -> None:
    table = stored("F32", np.full((1024, 64), 0.5))
    arrays = LLAMA | {
        "model.embed_tokens.weight": ("F32", table),
        "lm_head.weight": ("BF16", stored("BF16", table)),
    }
    structure, content = read(arrays, is_peek=False, config=TIED)
    done = audit(structure, ["C008"], given=Given(peeked=content))

    assert ["C008 warning"] == told(done.findings)


@pytest.mark.parametrize("is_peek", [True, False])
@pytest.mark.parametrize(("value", "count"), [(0, 2), (0.5, 1)])
def test_an_adapter_that_changes_nothing(value: float, count: int, is_peek: bool) -> None:
    arrays = weights(lora())
    name = "base_model.model.model.layers.3.self_attn.q_proj.lora_B.weight"
    arrays = changed(arrays, {name: np.full((64, 4), value, "<f4")})
    structure, content = read(arrays, is_peek, adapter_config=ADAPTER)
    done = audit(structure, ["A007"], given=Given(peeked=content))

    assert ["A007 info"] * count == told(done.findings)


@pytest.mark.parametrize(
    ("more", "words"), [(bytes(64), "all zero, as padding is"), (b"\0payload", "not all zero")]
)
def test_what_follows_the_last_tensor(more: bytes, words: str) -> None:
    source = source_of(raw_file(LLAMA) + more)
    structure = structure_of(source)
    peeked = peek_content(source, structure)
    (finding,) = audit(structure, ["H003"], given=Given(peeked=peeked)).findings

    assert words in finding.message
