"""config.json's layers and vocabulary against the shapes."""

from __future__ import annotations

import pytest

from ckptscan.checks.config_sizes import CHECKS
from tests.checks.looking import CONFIG, codes, llama

HEAD = {"lm_head.weight": ("BF16", [1000, 64])}
OTHER = {"architectures": ["LlamaModel"], "num_hidden_layers": 9}
CASES = [
    pytest.param({}, {}, [], id="C001-right"),
    pytest.param({"num_hidden_layers": 7, "num_nextn_predict_layers": 1}, {}, [], id="C001-MTP"),
    pytest.param({"num_hidden_layers": 16, "num_hidden_groups": 8}, {}, [], id="C001-ALBERT"),
    pytest.param(OTHER | {"decoder": {"layers": 8}}, {}, [], id="C001-layers-of-a-part"),
    pytest.param({"num_hidden_layers": 9}, {}, ["C001 error"], id="C001-a-layer-is-missing"),
    pytest.param(OTHER, {}, ["C001 warning"], id="C001-an-encoder"),
    pytest.param({}, {}, [], id="C003-right"),
    pytest.param({"vocab_size": 1000}, {}, ["C003 info"], id="C003-padded"),
    pytest.param({"vocab_size": 1000}, HEAD, ["C003 info"], id="C003-more-tokens-in-than-out"),
    pytest.param({"vocab_size": 1025}, {}, ["C003 error"], id="C003-a-row-is-missing"),
    pytest.param({"num_hidden_layers": 9}, {}, ["C001 error"], id="S012-too-few"),
    pytest.param({"num_hidden_layers": 6}, {}, ["C001 error", "S012 info"], id="S012-two-more"),
]


@pytest.mark.parametrize(("said", "tensors", "expected"), CASES)
def test_figures(
    said: dict[str, object], tensors: dict[str, tuple[str, list[int]]], expected: list[str]
) -> None:
    assert expected == codes(CHECKS, {**llama(), **tensors}, config=CONFIG | said)


def towers(path: str) -> dict[str, tuple[str, list[int]]]:
    """Three layers more, in a part of the model."""
    return {name.replace("model.layers", path): one for name, one in llama(range(3)).items()}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        pytest.param("image_embedder.layers", {}, id="the-config-is-of-the-larger"),
        pytest.param(
            "text_encoder.encoder.block",
            {"is_encoder_decoder": True, "text_encoder": {"num_layers": 3}},
            id="the-part-has-a-section",
        ),
    ],
)
def test_parts_have_layers_of_their_own(path: str, said: dict[str, object]) -> None:
    tensors = {**towers(path), **llama()}

    assert [] == codes(CHECKS, tensors, config=CONFIG | {"architectures": ["Denoiser"]} | said)


@pytest.mark.parametrize("odd", ["8", 8.0, -1, [], {}, None, True, 10**30])
@pytest.mark.parametrize("key", ["num_hidden_layers", "vocab_size"])
def test_what_is_no_figure_is_no_witness(key: str, odd: object) -> None:
    assert [] == codes(CHECKS, llama(), config=CONFIG | {key: odd})


def test_two_stacks_of_one_size_have_no_figure_of_their_own() -> None:
    two = {
        f"model.{part}.{name.removeprefix('model.')}": held
        for part in ("high", "low")
        for name, held in llama().items()
        if "layers" in name
    }

    assert [] == codes(CHECKS, two, config=CONFIG | {"num_hidden_layers": 64})
