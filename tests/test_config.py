"""config.json and its kin: facts by type, problems in one line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptscan.config import (
    Config,
    module_folders,
    parse_object,
    pipeline_components,
    read_config,
)


def test_facts_are_read_by_type() -> None:
    config = read_config({"config.json": b'{"model_type":"qwen2","architectures":["A","B"],"n":1}'})

    assert "qwen2" == config.text("model_type")
    assert config.text("n") is None
    assert config.text("absent") is None
    assert "A" == config.architecture


@pytest.mark.parametrize("value", [b"[]", b"{}", b"null", b"[1]", b'"x"'])
def test_an_odd_architecture_is_none(value: bytes) -> None:
    assert read_config({"config.json": b'{"architectures":' + value + b"}"}).architecture is None


PROBLEMS = {
    "cut": (b'{"a":', "not JSON"),
    "array": (b"[]", "not a JSON object"),
    "not utf-8": (b'{"\xff":1}', "not UTF-8"),
    "deep": (b'{"a":' + b"[" * 100_000, "not JSON"),
    "absurd number": (b'{"a":' + b"9" * 5000 + b"}", "not JSON"),
    "empty": (b"", "not JSON"),
}


@pytest.mark.parametrize(("raw", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_a_config_that_can_t_be_used_is_a_problem(raw: bytes, problem: str) -> None:
    config = read_config({"config.json": raw})

    assert problem in config.problems["config.json"]
    assert {} == config.documents


def test_a_config_too_large_to_be_read_is_a_problem() -> None:
    assert (
        "too large, or can't be read" == read_config({"config.json": None}).problems["config.json"]
    )


@given(st.binary(max_size=60))
def test_any_bytes_give_a_config(raw: bytes) -> None:
    assert isinstance(read_config({"config.json": raw}), Config)


def test_a_byte_order_mark_is_no_problem() -> None:
    assert {"a": 1} == parse_object(b'\xef\xbb\xbf{"a":1}')


def test_a_pipeline_names_its_components() -> None:
    document = {
        "_class_name": "FluxPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "safety_checker": [None, None],
        "../evil": ["a", "b"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scale": 1.0,
    }

    assert ["unet", "vae"] == pipeline_components(document)


@pytest.mark.parametrize(
    ("raw", "folders"),
    [
        (
            b'[{"path":""},{"path":"1_Pooling"},{"path":"2_Dense/"},{"idx":3},7]',
            ["", "1_Pooling", "2_Dense"],
        ),
        (b"{}", []),
        (b"[", []),
        (b"\xff", []),
    ],
)
def test_sentence_transformers_modules_name_their_folders(raw: bytes, folders: list[str]) -> None:
    assert folders == module_folders(raw)


def test_a_pipeline_has_its_class_as_architecture() -> None:
    config = read_config({"model_index.json": b'{"_class_name":"FluxPipeline"}'})

    assert "FluxPipeline" == config.architecture
