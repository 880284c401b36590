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
    assert folders == list(module_folders(raw))


def test_a_pipeline_has_its_class_as_architecture() -> None:
    config = read_config({"model_index.json": b'{"_class_name":"FluxPipeline"}'})

    assert "FluxPipeline" == config.architecture


def config_of(**documents: dict[str, object]) -> Config:
    """A config of these files, named without `.json`."""
    return Config({f"{name}.json": document for name, document in documents.items()})


SAID = {
    "nothing": ({}, None),
    "at the top": ({"config": {"n": 1}}, 1),
    "in the language model's section first": ({"config": {"n": 1, "text_config": {"n": 2}}}, 2),
    "in a section's section": (
        {"config": {"n": 1, "thinker_config": {"n": 2, "text_config": {"n": 3}}}}, 3,
    ),
    "in config.json before params.json": ({"config": {"n": 1}, "params": {"n": 2}}, 1),
    "in params.json alone": ({"config": {}, "params": {"n": 2}}, 2),
    "a null says nothing": ({"config": {"text_config": {"n": None}, "n": 1}}, 1),
    "another key": ({"config": {"m": 4}}, 4),
    "the first key of a section": ({"config": {"m": 4, "n": 5}}, 5),
    "a section that is none": ({"config": {"text_config": [1], "n": 1}}, 1),
}  # fmt: skip


@pytest.mark.parametrize(("documents", "expected"), SAID.values(), ids=SAID)
def test_what_is_said_of_the_language_model(
    documents: dict[str, dict[str, object]], expected: object
) -> None:
    assert expected == config_of(**documents).said("n", "m")


def test_sections_nested_without_end_are_cut() -> None:
    document: dict[str, object] = {"n": 1}
    for _ in range(1000):
        document = {"text_config": document, "llm_config": document}

    assert config_of(config=document).said("n") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1), (0, None), (-1, None), (True, None), (1.0, None), ("1", None), (1 << 48, None)],
)
def test_a_number_is_a_positive_integer(value: object, expected: int | None) -> None:
    assert expected == config_of(config={"n": value}).number("n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 0], (1, 0)),
        ([], ()),
        ([1, -1], ()),
        ([True], ()),
        ([1 << 48], ()),
        (7, ()),
        ([1] * 20_000, ()),
    ],
)
def test_numbers_are_one_for_each_layer(value: object, expected: tuple[int, ...]) -> None:
    assert expected == config_of(config={"n": value}).numbers("n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(["a", "b"], ("a", "b")), ([], ()), (["a", 1], ()), ("a", ()), (["a"] * 20_000, ())],
)
def test_words_are_a_list_of_texts(value: object, expected: tuple[str, ...]) -> None:
    assert expected == config_of(config={"n": value}).words("n")


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), (False, False), (1, None), ("true", None), (None, None)]
)
def test_a_flag_is_true_or_false(value: object, expected: bool | None) -> None:
    assert expected is config_of(config={"n": value}).flag("n")


def test_the_kind_of_model_is_the_top_level_s() -> None:
    assert (
        "a" == config_of(config={"model_type": "a", "text_config": {"model_type": "b"}}).model_type
    )
    assert config_of(config={"model_type": 3}).model_type is None


TOWERS = {
    "its own section": ({"vision_config": {"n": 1}, "n": 2}, "vision", 1),
    "under another name": ({"mm_vision_tower": {"n": 1}, "n": 2}, "vision", 1),
    "no object": ({"vision_config": 7, "text_config": {}, "n": 2}, "vision", None),
    "none beside other towers": ({"text_config": {"n": 2}}, "audio", None),
    "the model is nothing else": ({"n": 2}, "vision", 2),
    "the language model": ({"vision_config": {"n": 1}, "n": 2}, "text", 2),
}


@pytest.mark.parametrize(("document", "tower", "expected"), TOWERS.values(), ids=TOWERS)
def test_what_is_said_of_a_tower(
    document: dict[str, object], tower: str, expected: int | None
) -> None:
    assert expected == config_of(config=document).tower(tower).number("n")


def test_a_section_is_a_config_of_its_own() -> None:
    config = config_of(config={"decoder_config": {"n": 1}, "other": 7})
    section = config.section("decoder_config")

    assert section is not None
    assert 1 == section.number("n")
    assert config.section("other") is config.section("absent") is None


Q = {"quant_method": "gptq"}
QUANTIZATION = {
    "nothing": ({}, {}),
    "transformers": ({"config": {"quantization_config": Q}}, Q),
    "compressed-tensors of old": ({"config": {"compression_config": Q}}, Q),
    "MLX": ({"config": {"quantization": Q}}, Q),
    "ModelOpt": ({"hf_quant_config": {"quantization": Q}}, Q),
    "AutoGPTQ": ({"quantize_config": Q}, Q),
    "Mistral": ({"params": {"quantization": Q}}, Q),
    "in a section": ({"config": {"text_config": {"quantization_config": Q}}}, Q),
    "config.json first": ({"quantize_config": {"bits": 3}, "config": {"quantization_config": Q}}, Q),
    "an empty section says nothing": (
        {"config": {"quantization_config": {}}, "quantize_config": Q}, Q,
    ),
    "no object": ({"config": {"quantization_config": [Q]}}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("documents", "expected"), QUANTIZATION.values(), ids=QUANTIZATION)
def test_what_is_said_of_quantization(
    documents: dict[str, dict[str, object]], expected: dict[str, object]
) -> None:
    assert expected == config_of(**documents).quantization


def test_the_weights_of_each_group_of_modules() -> None:
    groups = {"a": {"weights": {"num_bits": 4}}, "b": {"weights": None}, "c": 7}
    config = config_of(config={"quantization_config": {"config_groups": groups}})
    odd = config_of(config={"quantization_config": {"config_groups": [1]}})

    assert ({"num_bits": 4},) == config.weight_groups
    assert () == odd.weight_groups == Config().weight_groups
